"""Commands of a data center in this process, against a gateway in memory: what is typed, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from gridsignal.__main__ import run
from gridsignal.testing import FakeGrid


@dataclass(frozen=True)
class Left:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Typed = Callable[..., Coroutine[Any, Any, Left]]


def typing_at(fake: FakeGrid, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Runs words of a command to their end, as the data center of a fake grid with the site fra-1."""
    settings = {"URL": fake.url, "API": fake.api, "TOKEN": fake.token, "SITE": "fra-1"}
    for name, value in settings.items():
        monkeypatch.setenv(f"GRIDSIGNAL_{name}", value)

    async def typed(*words: str) -> Left:
        capsys.readouterr()
        try:
            code = await asyncio.to_thread(run, words[0], list(words[1:]))
        except SystemExit as ended:  # wrong words
            code = int(ended.code or 0)
        return Left(code, *capsys.readouterr())

    return typed
