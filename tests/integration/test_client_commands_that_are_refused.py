"""A command that is refused says which of its words was wrong: no pointer, no id that was not typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from gridsignal_services import embedded
from gridsignal_services.embedded import Stack
from tests.integration.typed import Left, Typed, typing_at

_POINTER = re.compile(r"(?:^|[\s(])/[a-z_]+")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}")


class People:
    """An operator and a data center at their terminals, on one stack."""

    def __init__(self, stack: Stack, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stack, self._typed, self._monkeypatch = stack, typed, monkeypatch

    async def type(self, line: str, *, code: int = 0) -> Left:
        """Runs a line as whoever its command is for."""
        is_operators = line.split()[0] in ("request", "order")
        who = ("operator", "tso-north") if is_operators else ("participant", "acme-ai")
        self._monkeypatch.setenv("GRIDSIGNAL_TOKEN", self._stack.token(*who))  # type: ignore[arg-type]  # a role and a name
        left = await self._typed(*line.split())
        assert left.code == code, (line, left)
        return left

    async def refused(self, line: str, *told: str) -> None:
        left = await self.type(line, code=1)
        said = left.out + left.err
        assert all(word in said for word in told), (line, said)
        assert not _POINTER.search(said), (line, said)
        wrong = "".join(part for part in left.err.splitlines() if not part.startswith("offering as "))
        assert set(_UUID.findall(wrong)) <= set(_UUID.findall(line)), (line, said)


@pytest.fixture
async def people(stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> People:
    await stack.declare_flat_baselines(embedded.midnight(datetime.now(UTC)), 3, 0.6)
    where = {"url": stack.gateway_url, "api": stack.api_url, "token": "none"}
    return People(stack, typing_at(where, monkeypatch, capsys), monkeypatch)


CREATE = "request create --zone DE-LU --down 12MW --start +3h --for 45m --gate +1h --cap 120 --json"


async def test_what_is_refused_names_the_words_that_were_typed(people: People) -> None:
    request_id = (await people.type(CREATE)).rows()[0]["request"]["request_id"]
    await people.refused(f"request clear {request_id}", "REQUEST_ID: expected an award")
    await people.refused(f"request amend {request_id} --gate -1h", "--gate: expected", "got 20")
    await people.refused(f"request amend {request_id} --min 13MW", "--min: expected at most --power (12000000)")
    await people.refused(f"request award {request_id} --reason x --pick a/b/o1=1MW", "--pick: expected")
    offer = f"offer create {request_id} --power 12MW"
    await people.refused(f"{offer} --price 500", "--price: expected at most 120, got 500", "PRICE_CAP")
    await people.refused(f"{offer} --price 90 --notice 1d", "--notice: expected")
    offered = (await people.type(f"{offer} --price 90 --json")).rows()[0]["offer_id"]
    await people.refused(f"{offer} --price 91 --offer-id {offered}", "--offer-id: ")
    await people.refused("offer withdraw nope", "OFFER_ID: expected an offer of this participant")
    await people.type(f"request clear {request_id}")
    (order,) = (await people.type(f"order list --request {request_id} --json")).rows()
    order_id = order["order"]["order_id"]
    await people.refused(f"respond accept {order_id} --power 50MW", "--power: expected", "got 50MW")
    await people.refused(f"respond started {order_id}", "ORDER_ID: expected")
    await people.type(f"respond accept {order_id}")
    await people.refused(f"respond unavailable {order_id} --power 12MW", "--power: expected", "got 12MW")
    await people.refused(f"order extend {order_id} --end +9h", "--end: expected an end by 20", "got 20")
    await people.type(f"request cancel {request_id}")
    await people.refused(f"request clear {request_id}", "REQUEST_ID: expected")
    await people.refused(
        "meter report --import 500MW", "--import: expected at most the connection's", "60MW, got 500MW"
    )
    await people.refused("meter report --import 5MW --from +1h", "--for: expected an interval that is over at 20")
    await people.refused("baseline declare --power 5GW", "--power: expected", "60MW, got 5000MW")


@pytest.mark.parametrize(
    "words",
    [
        ["respond", "accept", "o", "--code", "no spaces"],
        ["respond", "refuse", "o", "--reason", "x" * 513],
        ["offer", "create", "r", "--power", "1MW", "--price", "1", "--offer-id", "a/b"],
        ["offer", "withdraw", "o", "--reason", "\x1b[2J"],
        ["meter", "report", "--import", "1MW", "--meter", "a b"],
    ],
    ids=lambda words: f"{words[0]} {words[-2]}",
)
async def test_what_the_contract_does_not_take_is_told_before_anything_is_sent(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = typing_at({"url": "ws://127.0.0.1:1", "token": "none"}, monkeypatch, capsys)
    left = await typed(*words)
    assert (left.code, left.out) == (2, "")
    assert f"{words[-2]}: expected " in left.err
    assert ", got " in left.err
