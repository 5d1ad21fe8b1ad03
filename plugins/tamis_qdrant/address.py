"""Where a Qdrant server listens, as people write it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["Address"]

_GRPC_PORT = 6334


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port of the gRPC API, and whether TLS is spoken there."""

    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads `https://host:port`, `http://host:port`, `host:port` or `host`; the port is 6334 unless it is said.

        Raises `ValueError` with what is allowed, and without the text: people write passwords into addresses.
        """
        parts = urlsplit(text if "://" in text else f"http://{text}")
        if parts.username or parts.password:
            raise ValueError("url holds a user or a password; the key belongs into api_key_file")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("url is http://host:6334, https://host:6334 or host:6334, without a path")
        return cls(parts.hostname, parts.port or _GRPC_PORT, parts.scheme == "https")

    @property
    def target(self) -> str:
        """As gRPC wants it: `host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent there stays on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.target}"
