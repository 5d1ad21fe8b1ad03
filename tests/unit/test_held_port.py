"""The port that tests keep for a server which they kill and start again."""

from __future__ import annotations

import socket

import grpc
import pytest
from held_port import HeldPort


async def test_servers_listen_there_one_after_the_other_and_nobody_else_gets_it() -> None:
    port = HeldPort()
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port.number))
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        assert server.add_insecure_port(port.address) == port.number
        await server.start()
        socket.create_connection(("127.0.0.1", port.number)).close()
        await server.stop(None)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port.number))
