"""How a command ends that runs on a log and can't: one line, and a code that says whether to try again."""

from __future__ import annotations

import errno
import sys

from gridsignal.__main__ import UNAVAILABLE, USAGE
from gridsignal_services.bus import LogError, LogUnavailable, PositionGone
from gridsignal_services.jwks_url import KeysUnavailable
from gridsignal_services.settings import ConfigError

FORESEEN = (ConfigError, LogError, OSError, KeysUnavailable)
TOLD = (*FORESEEN, ExceptionGroup)


def failed(command: str, error: Exception, *, ports: str = "") -> int:
    """Tells the first cause and returns its exit code; one that nobody foresaw goes on with its traceback.

    Of a configuration every fault is told. `ports` are the options that name other ports, for a command that listens.
    """
    cause = error
    while isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    if not isinstance(cause, FORESEEN):
        raise error
    told = cause.faults if isinstance(cause, ConfigError) else (str(cause),)
    if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
        told = (f"expected a free port, got {cause.filename} in use; name others: {ports} (0: any)",)
    for line in told:
        print(f"gridsignal {command}: {line}", file=sys.stderr)
    return UNAVAILABLE if isinstance(cause, (LogUnavailable, PositionGone, KeysUnavailable)) else USAGE
