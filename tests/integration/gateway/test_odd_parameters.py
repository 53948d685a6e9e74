"""An address with a value that is none is refused in our words, which name the parameter."""

from __future__ import annotations

import pytest

from tests.integration.gateway.test_events import desk
from tests.integration.gateway_stand import Stand

ODD = ("", ",", "DE-LU,", ",DE-LU", "a b", "x" * 3000, ",".join(["DE-LU"] * 300))


@pytest.mark.parametrize("door", ["events", "poll"])
@pytest.mark.parametrize("name", ["zones", "products", "accounting", "cursor", "stream", "mode", "snapshot", "site"])
async def test_a_value_that_is_none_is_refused_in_words_that_name_it(stand: Stand, door: str, name: str) -> None:
    values = ODD if name != "cursor" else ("", "x" * 3000)
    async with desk(stand) as client:
        for value in values:
            answer = await client.get(f"/v1/{door}", params={"stream": "alerts"} | {name: value})
            problem = answer.json()
            assert answer.status_code == (404 if name == "stream" and len(value) < 64 else 400), (value, answer.text)
            assert f"?{name}" in [fault["pointer"] for fault in problem["errors"]] or answer.status_code == 404
            assert problem["detail"].count("expected") == 1, problem
            assert not any(word in problem["detail"] for word in ("should", "List ", "String ")), problem
