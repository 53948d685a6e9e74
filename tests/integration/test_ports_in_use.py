"""A port that another program has: said with its number, for there are four of ours."""

from __future__ import annotations

import pytest

from gridsignal.__main__ import USAGE
from gridsignal_services.addresses import address_of, listening
from gridsignal_services.cli.failing import failed


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with listening("127.0.0.1", 0, backlog=1) as first:
        host, port = address_of(first)
        with pytest.raises(OSError, match="in use") as taken:
            listening(host, port, backlog=1)
    assert failed("up", ExceptionGroup("all of it", [taken.value]), ports="--ops-port") == USAGE
    expected = f"expected a free port, got 127.0.0.1:{port} in use; name others: --ops-port (0: any)"
    assert capsys.readouterr().err == f"gridsignal up: {expected}\n"
