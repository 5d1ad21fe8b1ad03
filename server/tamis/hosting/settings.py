"""How a plugin server listens, and to whom."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["PluginServerConfig", "is_loopback"]


class PluginServerConfig(BaseModel):
    """The table `[plugin_server]`: how `tamis plugin serve` listens, and where hosted components keep their indexes.

    With `certificate_file` and `key_file` TLS is spoken, and with `client_ca_file` only with callers whose certificate
    one of these authorities has signed. Beyond loopback that is a must, unless the network is `trusted_network`: then
    whoever can reach the address may use and fill the components.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str = "127.0.0.1:7611"
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    trusted_network: bool = False
    data_directory: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("tamis-plugins")))
    max_message_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 30)] = 64 << 20
    max_concurrent_calls: Annotated[int, Field(ge=1)] = 256

    @model_validator(mode="after")
    def _is_safe(self) -> PluginServerConfig:
        host, _, port = self.listen.rpartition(":")
        if not port.isdigit() or int(port) > 65_535:
            raise ValueError("listen: is HOST:PORT, port 0 to 65535")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        if self.client_ca_file is not None and self.certificate_file is None:
            raise ValueError("client_ca_file needs certificate_file and key_file, too")
        is_here = host == "localhost" or is_loopback(host.strip("[]"))
        if not (is_here or self.client_ca_file is not None or self.trusted_network):
            raise ValueError(
                "listen: beyond loopback callers must prove who they are: set client_ca_file, certificate_file and "
                "key_file, or trusted_network where only your own servers reach the address"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether an IP address is of this machine alone; names are not."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
