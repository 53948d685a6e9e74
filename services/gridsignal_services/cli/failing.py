"""How a command ends that runs on a log and can't: one line, and a code that says whether to try again."""

from __future__ import annotations

import errno
import sys

from gridsignal.__main__ import UNAVAILABLE, USAGE
from gridsignal.cli import paths
from gridsignal_services.access.keys_at_url import KeysUnavailable
from gridsignal_services.bus import LogError, LogUnavailable, PositionGone
from gridsignal_services.settings import ConfigError

FORESEEN = (ConfigError, LogError, OSError, KeysUnavailable)
REPORTED = (*FORESEEN, ExceptionGroup)


def failed(command: str, error: Exception, *, ports: str = "") -> int:
    """Tells the first cause and returns its exit code; one that nobody foresaw goes on with its traceback.

    Of a configuration every fault is told. `ports` are the options that name other ports, for a command that listens.
    """
    cause = error
    while isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    if not isinstance(cause, FORESEEN):
        raise error
    for line in _sentences(cause, ports):
        print(f"gridsignal {command}: {line}", file=sys.stderr)
    return code_of(cause)


def _sentences(cause: Exception, ports: str) -> tuple[str, ...]:
    if isinstance(cause, ConfigError):
        return cause.faults
    if not isinstance(cause, OSError):
        return (str(cause),)
    if cause.errno == errno.EADDRINUSE:
        return (f"expected a free port, got {cause.filename} in use; name others: {ports} (0: any)",)
    return (paths.sentence(cause),)


def code_of(cause: Exception) -> int:
    """With which code a command ends on a foreseen error; a log's that comes of its path is the path's."""
    of_path = cause.__cause__ if isinstance(cause, LogUnavailable) else cause
    if isinstance(of_path, OSError):
        return USAGE if of_path.errno == errno.EADDRINUSE else paths.code(of_path)
    return UNAVAILABLE if isinstance(cause, (LogUnavailable, PositionGone, KeysUnavailable)) else USAGE
