"""What waits in the kernel for a peer, where the system tells: Linux alone."""

from __future__ import annotations

import fcntl
import socket
import sys
import termios

_NOTSENT_LOWAT = 25 if sys.platform == "linux" else None  # socket.TCP_NOTSENT_LOWAT, since Python 3.12
_OUTQ = termios.TIOCOUTQ if sys.platform == "linux" else None  # SIOCOUTQ, tcp(7)


def bound_the_kernel(sock: socket.socket | None, unsent_bytes: int) -> None:
    """Lets the kernel hold little that it has not sent: else megabytes wait there, beyond any budget of ours."""
    if sock is not None and _NOTSENT_LOWAT is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, unsent_bytes)


def in_the_kernel(sock: socket.socket | None) -> int:
    """Bytes that the kernel holds because the peer has not acknowledged them; 0 where it does not say."""
    if sock is None or _OUTQ is None or sock.fileno() < 0 or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), _OUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0  # it is gone
