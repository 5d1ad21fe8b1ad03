"""Where a remote component is, and how it is asked."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from tamis.component import Settings, overridable

__all__ = ["RemoteSettings"]

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]:/\s]+):(?P<port>\d{1,5})")


class RemoteSettings(Settings):
    """`component` is its name on the serving side, `addresses` are `HOST:PORT`: one name, which may stand for several
    machines, or any number of IP addresses.

    With `ca_file` TLS is spoken, and only to whom one of these authorities has signed a certificate for `server_name`,
    or else for the host of the address; `certificate_file` and `key_file` prove who this server is. A call is tried
    `max_attempts` times in all. `patience` is how many seconds it may take at the start until somebody answers.
    `options` change overridable settings of the component.
    """

    component: Annotated[str, Field(min_length=1)]
    addresses: Annotated[tuple[str, ...], Field(min_length=1)]
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""
    max_attempts: Annotated[int, Field(ge=1, le=5)] = 3
    patience: Annotated[float, Field(gt=0, le=3_600)] = 30.0
    options: Annotated[dict[str, Any], Field(default_factory=dict, json_schema_extra=overridable())]

    @model_validator(mode="after")
    def _makes_sense(self) -> RemoteSettings:
        found = [_ADDRESS.fullmatch(each) for each in self.addresses]
        for each, text in zip(found, self.addresses, strict=True):
            if each is None or int(each["port"]) > 65_535:
                raise ValueError(f"addresses: {text!r} is not HOST:PORT")
        kinds = {_version(each["host"]) for each in found if each is not None}
        if len(self.addresses) > 1 and (len(kinds) > 1 or 0 in kinds):
            raise ValueError("addresses: several are IP addresses of one version; one name may stand for several")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        if self.ca_file is None and (self.certificate_file or self.server_name):
            raise ValueError("certificate_file, key_file and server_name are of no use without ca_file")
        if self.ca_file is not None and len(self.addresses) > 1 and not self.server_name:
            raise ValueError("server_name: is needed with several addresses, whose certificates are all for this name")
        return self

    @property
    def target(self) -> str:
        """As gRPC's resolvers read it."""
        match = _ADDRESS.fullmatch(self.addresses[0])
        version = _version(match["host"]) if match else 0
        return f"dns:///{self.addresses[0]}" if not version else f"ipv{version}:{','.join(self.addresses)}"


def _version(host: str) -> int:
    """4 or 6 for an IP address, 0 for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]")).version
    except ValueError:
        return 0
