"""A port that stays a test's own from one server to the next."""

from __future__ import annotations

import os
import socket
import weakref

__all__ = ["HeldPort"]


class HeldPort:
    """Is bound and never listens: the system gives it to nobody who asks for any port, a call to it is refused, and
    the server that is told its address may listen there, as gRPC's servers share an address that is only bound. It is
    given back when nobody refers to it any more."""

    def __init__(self) -> None:
        with socket.socket() as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(("127.0.0.1", 0))
            self.number: int = bound.getsockname()[1]
            weakref.finalize(self, os.close, bound.detach())
        self.address = f"127.0.0.1:{self.number}"
