"""A program that is started without a shell: its words, what it is given and what it prints.

Bounded: a time and as many bytes of output as the caller says. When full: ActuatorFailed. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from gridsignal.agent.actuators import ActuatorFailed

MOST_BYTES = 64 * 1024
_PART = 64 * 1024
_TOLD = 300


async def ran(
    words: Sequence[str],
    given: bytes = b"",
    *,
    timeout_s: float,
    most_bytes: int = MOST_BYTES,
    env: Mapping[str, str] | None = None,
) -> bytes:
    """What it printed; `env` comes on top of our own.

    Raises ActuatorFailed, also where it ends with another code than 0.
    """
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **(env or {})}
        )
    except (OSError, ValueError) as error:
        raise ActuatorFailed(f"{words[0]} can't be started: {error}") from error
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(timeout_s):
            printed, complained, _ = await asyncio.gather(
                _beginning(process.stdout, most_bytes),
                _beginning(process.stderr, MOST_BYTES),
                _give(process.stdin, given),
            )
            await process.wait()
    except TimeoutError:
        raise ActuatorFailed(f"{words[0]}: expected an end within {timeout_s:g} s, got none") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        why = complained.decode(errors="replace").strip()[:_TOLD]
        raise ActuatorFailed(f"{words[0]} ended with {process.returncode}: {why}")
    if len(printed) > most_bytes:
        raise ActuatorFailed(f"{words[0]}: expected at most {most_bytes} bytes, got more")
    return printed


async def _give(stream: asyncio.StreamWriter, given: bytes) -> None:
    """A program may not care for what it is given."""
    with suppress(ConnectionError):
        stream.write(given)
        await stream.drain()
    stream.close()


async def _beginning(stream: asyncio.StreamReader, most_bytes: int) -> bytes:
    """One byte more than the bound is kept, and all is read, so that the program does not wait."""
    kept = bytearray()
    while part := await stream.read(_PART):
        kept += part[: most_bytes + 1 - len(kept)]
    return bytes(kept)
