"""The bearer token: checked before anything is sent, fetched in bounded time, and never shown."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from gridsignal.claims import expired, whose
from gridsignal.errors import GridsignalError, Unauthorized, UsageError

TokenSource: TypeAlias = str | Callable[[], str | Awaitable[str]]
_log = logging.getLogger("gridsignal.connection")
_HEADER_LINE = 8192  # servers refuse a longer line, ours among them
LONGEST = _HEADER_LINE - len("Authorization: Bearer \r\n")
_AROUND = "\ufeff \t\r\n\f\v"  # what editors and `echo` leave at the ends of a file


def checked(token: object, where: str = "token=") -> str:
    """The token without whitespace around it. Raises UsageError, which never shows what was there instead."""
    if not isinstance(token, str):
        raise UsageError(f"expected {where} as text, got {type(token).__name__}")
    bare = token.strip(_AROUND)
    if not bare:
        raise UsageError(f"expected a bearer token in {where}, got an empty text")
    if len(bare) > LONGEST:
        raise UsageError(f"expected a token of at most {LONGEST} characters in {where}, got {len(bare)}")
    if bare[:7].lower() == "bearer ":
        raise UsageError(f"expected the token alone in {where}, got the word Bearer before it")
    if not all("!" <= character <= "~" for character in bare):
        raise UsageError(f"expected one bearer token in {where}, got spaces or characters that no token has")
    return bare


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A source that reads a file each time it is asked: whoever writes another token into it needs no restart."""

    path: Path
    read: Callable[[Path], str]

    def __call__(self) -> str:
        return self.read(self.path)


class NoToken(Exception):
    """The token function gave none; it is asked again, and users never see this."""


class Tokens:
    """The bearer token of a connection: a text that stays, or a function that gets a fresh one."""

    def __init__(self, source: TokenSource, *, answer_s: float = 10.0) -> None:
        self._source: Callable[[], Any] | None = source if callable(source) else None
        self._token: str | None = None if callable(source) else checked(source)
        self._answer_s = answer_s

    @property
    def refreshable(self) -> bool:
        """Whether there can be another one."""
        return self._source is not None

    async def current(self) -> str:
        """The last one; asked for only if there is none yet."""
        return self._token if self._token is not None else await self.fresh()

    async def fresh(self) -> str:
        """Another one from the source.

        Raises NoToken where the source fails or does not answer in time, UsageError for what is no token, and
        Unauthorized where the token is a text.
        """
        if self._source is None:
            message = self.expired or "the token has expired"
            raise Unauthorized(f"{message}: pass token= a function that returns a fresh one")
        asking = asyncio.ensure_future(_answer(self._source))
        try:
            await asyncio.wait({asking}, timeout=self._answer_s)  # `timeout()` would wait for a function deaf to it
            if not asking.done():
                raise NoToken(f"the token function has not answered within {self._answer_s:g} s")
            self._token = checked(asking.result(), "the token function's answer")
        except (GridsignalError, NoToken):
            raise
        except Exception as error:  # the user's function; what it says may hold a secret
            raise NoToken(f"the token function failed: {type(error).__name__}") from error
        finally:
            asking.cancel()
        return self._token

    @property
    def expired(self) -> str:
        """For errors: that the last token has expired, and when; empty where it has not, or does not say."""
        return expired(self._token or "", datetime.now(UTC)) or ""

    @property
    def awaited(self) -> str:
        """For the log: that the last token has expired, and where another is looked for; empty as `expired` is."""
        what, of_another = "the token", "asking the token function for another"
        if isinstance(self._source, TokenFile):
            what, of_another = f"the token in {self._source.path}", "waiting for another in that file"
        said = expired(self._token or "", datetime.now(UTC), what)
        return f"{said}; {of_another}" if said else ""

    @property
    def owner(self) -> str:
        """For errors: for whom the last token is, by its own words; empty where it does not say."""
        said = whose(self._token or "")
        return "" if said is None else f"a token for {said}"

    @property
    def size(self) -> int:
        """Characters of the last token."""
        return len(self._token or "")


async def _answer(source: Callable[[], Any]) -> Any:
    if inspect.iscoroutinefunction(source) or inspect.iscoroutinefunction(type(source).__call__):
        return await source()
    answer = await _on_a_thread(source)
    return await answer if inspect.isawaitable(answer) else answer


async def _on_a_thread(source: Callable[[], Any]) -> Any:
    """A plain function may block; the thread is its own, so that one that never returns keeps nobody else waiting."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: Any, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def ask() -> None:
        try:
            outcome: tuple[Any, BaseException | None] = (context.run(source), None)
        except StopIteration:  # no future takes it
            outcome = (None, RuntimeError("StopIteration"))
        except Exception as error:  # it belongs to whoever waits for the answer
            outcome = (None, error)
        try:
            loop.call_soon_threadsafe(settle, *outcome)
        except RuntimeError:  # the loop was closed meanwhile
            _log.debug("a token came after the program had ended")

    threading.Thread(target=ask, name="gridsignal-token", daemon=True).start()
    return await answer
