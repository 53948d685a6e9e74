"""What a site follows: only newer and valid setpoints, and the base once, three cycles after the last target."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_protocol.client.regulation import RampToBase, Signal
from gridsignal_schemas.messages import RegulationSetpoint
from tests.builders import a_setpoint

FIRST = a_setpoint(cycle_no=0)
SECOND = timedelta(seconds=1)


def cycle(number: int, *, valid_s: int = 6, order_id: str = FIRST.order_id) -> RegulationSetpoint:
    target_at = FIRST.target_at + 2 * number * SECOND
    return FIRST.model_copy(
        update={
            "cycle_no": number,
            "target_at": target_at,
            "valid_until": target_at + valid_s * SECOND,
            "order_id": order_id,
        }
    )


steps = st.lists(
    st.tuples(
        st.integers(0, 6),  # seconds that pass
        st.lists(st.tuples(st.integers(0, 15), st.integers(1, 6), st.booleans()), max_size=4),  # cycles that come
    ),
    max_size=40,
)


@given(steps)
def test_what_is_followed_is_newer_valid_and_the_newest_and_silence_leads_to_base_once(
    came: list[tuple[int, list[tuple[int, int, bool]]]],
) -> None:
    signal, now = Signal(FIRST.order_id), FIRST.target_at
    followed: RegulationSetpoint | RampToBase | None = None
    last: RegulationSetpoint | None = None
    for passed_s, cycles in came:
        now += passed_s * SECOND
        valid = list[RegulationSetpoint]()
        for number, valid_s, is_own in cycles:
            setpoint = cycle(number, valid_s=valid_s, order_id=FIRST.order_id if is_own else "another")
            signal.take(setpoint, now)
            is_newer = last is None or number > last.cycle_no or last.valid_until <= now
            if is_own and setpoint.valid_until > now and is_newer:
                last = setpoint
                valid.append(setpoint)

        found = signal.next(now)

        if valid:
            assert found == valid[-1]
        elif isinstance(followed, RegulationSetpoint) and now >= followed.target_at + 6 * SECOND:
            assert found == RampToBase(FIRST.order_id, followed.base_w, followed)
        else:
            assert found is None
        assert signal.next(now) is None  # each is told once
        followed = found or followed
        assert signal.due_at == (followed.target_at + 6 * SECOND if isinstance(followed, RegulationSetpoint) else None)


def test_what_waited_until_it_was_over_is_not_followed_but_its_loss_is_told() -> None:
    signal = Signal(FIRST.order_id)
    signal.take(cycle(0, valid_s=2), FIRST.target_at)

    assert signal.next(FIRST.target_at + 2 * SECOND) is None
    assert signal.next(FIRST.target_at + 6 * SECOND) == RampToBase(FIRST.order_id, FIRST.base_w, cycle(0, valid_s=2))


def test_a_signal_that_comes_back_is_followed_and_lost_anew() -> None:
    signal = Signal(FIRST.order_id)
    told = []
    for number in (0, 1, 9):
        signal.take(cycle(number), cycle(number).target_at)
        told += [signal.next(cycle(number).target_at), signal.next(cycle(number).target_at + 6 * SECOND)]

    assert [(type(each).__name__, each.power_w(12_000_000)) for each in told if each] == [
        ("RegulationSetpoint", 37_000_000),
        ("RampToBase", 40_000_000),
    ] * 3
