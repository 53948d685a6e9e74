"""What the push door refuses is cut into days where its code says that it is too long."""

from __future__ import annotations

import httpx2
import pytest

from gridsignal_schemas.codes import met_at
from gridsignal_schemas.frames import Detail
from gridsignal_services.cli.api import Failed
from gridsignal_services.cli.push import _read_answer, _TooLong
from gridsignal_services.rest import problems


@pytest.mark.parametrize("code", [code.name for code in met_at("rest")])
def test_a_body_is_too_long_where_the_code_says_so_whatever_the_words(code: str) -> None:
    message = '"TOO_MANY_VALUES" is a word like any other'
    refused = problems.invalid([Detail(code=code, pointer="/prices_per_mwh", message=message)])
    request = httpx2.Request("POST", "http://door/v1/signals/prices", headers={"Authorization": "Bearer token"})
    response = httpx2.Response(refused.status, content=refused.body.model_dump_json().encode(), request=request)
    with pytest.raises(Failed) as failed:
        _read_answer(response)
    assert isinstance(failed.value, _TooLong) is (code == "TOO_MANY_VALUES")
