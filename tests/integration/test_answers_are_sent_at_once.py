"""A door sends what it writes at once, on a connection's second answer as on its first."""

from __future__ import annotations

import socket

from gridsignal_services.addresses import address_of, listening


def test_no_packet_waits_until_the_one_before_it_is_confirmed() -> None:
    with listening("127.0.0.1", 0, backlog=1) as door, socket.create_connection(address_of(door)):
        door.setblocking(True)
        connection, _ = door.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
