"""What the operating system says of a path that was typed, for all commands: one sentence, and an exit code.

A decision: an error in, words and a number out.
"""

from __future__ import annotations

import errno

from gridsignal.__main__ import UNAVAILABLE, USAGE

_MAY_PASS = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ETXTBSY,
    }
)
"""What may be otherwise the next time; anything else stays as it is until another path is named."""


def sentence(error: OSError) -> str:
    """The path, and what is the matter with it; an error that somebody put into words keeps them."""
    if error.strerror is None or error.filename is None:
        return str(error)
    return f"{error.filename}: {error.strerror}"


def code(error: OSError) -> int:
    """2 where the same words fail again, 3 where they may not."""
    return UNAVAILABLE if error.errno in _MAY_PASS else USAGE
