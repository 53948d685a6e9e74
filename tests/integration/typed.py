"""A data center's commands in this process, against a stack or a gateway in memory, and what they leave behind."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from gridsignal.__main__ import run


@dataclass(frozen=True)
class Left:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Typed = Callable[..., Coroutine[Any, Any, Left]]


def unlogged() -> None:
    """Doors in the process of a command are silent: what they log is no part of its answer."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def typing_at(where: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Runs words of a command to their end, as the data center that has the site fra-1; `where` as `connect` has it."""
    for name, value in ({**where, "site": "fra-1"}).items():
        monkeypatch.setenv(f"GRIDSIGNAL_{name.upper()}", value)
    unlogged()

    async def typed(*words: str) -> Left:
        capsys.readouterr()
        try:
            code = await asyncio.to_thread(run, words[0], list(words[1:]))
        except SystemExit as ended:  # wrong words
            code = int(ended.code or 0)
        return Left(code, *capsys.readouterr())

    return typed
