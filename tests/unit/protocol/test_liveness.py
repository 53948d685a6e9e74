"""Whether the other side is still there."""

from __future__ import annotations

from gridsignal_protocol.liveness import Liveness


def verdicts(liveness: Liveness, *steps: tuple[float, bool]) -> list[str]:
    return [liveness.stepped(elapsed_s, heard=heard) for elapsed_s, heard in steps]


def test_silence_is_answered_by_pings_and_then_by_the_end() -> None:
    found = verdicts(Liveness(ping_s=8, dead_after_s=16), *[(2.0, False)] * 8)
    assert found == ["wait", "wait", "wait", "ping", "wait", "wait", "wait", "dead"]


def test_any_byte_is_life() -> None:
    liveness = Liveness(ping_s=8, dead_after_s=16)
    assert "dead" not in verdicts(liveness, *([(2.0, False)] * 7 + [(2.0, True)]) * 5)


def test_a_stall_of_our_own_loop_is_not_the_gateways_silence() -> None:
    liveness = Liveness(ping_s=8, dead_after_s=16)
    assert verdicts(liveness, (60.0, False), (2.0, True)) == ["wait", "wait"]


def test_pings_go_out_while_signals_come_in() -> None:
    assert verdicts(Liveness(ping_s=8, dead_after_s=16), *[(2.0, True)] * 8).count("ping") == 2
