"""What all remote components share: they learn at the start what they are, and name themselves in every call."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import structlog
from google.protobuf.message import DecodeError

from tamis.component import Component
from tamis.context import Call
from tamis.deadline import Deadline
from tamis.errors import ConfigurationError, NotFound, TamisError, Unavailable
from tamis.hosting.description import CONTRACT_VERSIONS, Description, PluginRole, UnsupportedContract
from tamis.pauses import Pauses
from tamis.v1 import plugin_service_pb2 as pb
from tamis.wire.plugin_calls import from_call, from_description, to_description
from tamis_remote.connection import Connection, describes, where_is
from tamis_remote.settings import RemoteSettings

__all__ = ["Remote", "paused"]

T = TypeVar("T")
_GLANCE = 2.0  # seconds
_LOG = structlog.get_logger(__name__)


class Remote(Component):
    """A component that runs elsewhere. It is what it was when this server started: another version of the contract, or
    another model, is refused from then on."""

    Settings = RemoteSettings
    role: ClassVar[PluginRole]
    settings: RemoteSettings

    def __init__(self, settings: RemoteSettings) -> None:
        super().__init__(settings)
        self._connection: Connection | None = None
        self._description: Description | None = None

    @property
    def connection(self) -> Connection:
        """Raises `Unavailable` before it is opened."""
        if self._connection is None:
            raise Unavailable(f"{self.settings.component!r} is not open")
        return self._connection

    @property
    def described(self) -> Description:
        """What it is. Raises `Unavailable` before it is opened."""
        if self._description is None:
            raise Unavailable(f"{self.settings.component!r} is not open")
        return self._description

    async def open(self) -> None:
        """Where nobody answers and a cache directory is set, what was told the last time holds, so that a server starts
        while one of its machines is away."""
        self._connection = Connection(self.settings)
        where = self._connection.where
        try:
            described = await self._describe(self._connection)
        except Unavailable as error:
            remembered = await asyncio.to_thread(self._remembered)
            if remembered is None:
                raise ConfigurationError(f"{error.message}; is it served there, with tamis plugin serve?") from None
            _LOG.warning("remote component is away; it is taken for what it was", component=where)
            described = remembered
        except UnsupportedContract as error:
            raise ConfigurationError(
                f"{where} does not speak version {' or '.join(map(str, CONTRACT_VERSIONS))} of PluginService, but "
                f"{error.metadata.get('versions', 'others')}: use releases of Tamis that belong together"
            ) from None
        except NotFound as error:
            raise ConfigurationError(f"{', '.join(self.settings.addresses)}: {error.message}") from None
        except TamisError as error:
            raise ConfigurationError(f"{where} cannot be used: {error.message}") from None
        self._check(described, where)
        self._description = described
        self.capabilities = described.capabilities
        await asyncio.to_thread(self._remember, described)

    def facts(self) -> Sequence[str]:
        """Whether it can be reached, and what it is there."""
        request = pb.DescribeRequest(component=self.settings.component, contract_versions=CONTRACT_VERSIONS)
        try:
            found = describes(self.settings, request, within=_GLANCE)
        except TamisError as error:
            return (f"does not answer: {error.message}",)
        return (f"answers: {where_is(self.settings)} is {found.plugin!r} of {found.plugin_version}",)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    def calling(self, call: Call) -> pb.PluginCall:
        """What every request begins with."""
        chosen: Any = call.options.get("options", {})
        call = replace(call, options={**self.settings.options, **chosen})
        return from_call(call, self.settings.component, self.described.contract_version)

    async def _describe(self, connection: Connection) -> Description:
        request = pb.DescribeRequest(component=self.settings.component, contract_versions=CONTRACT_VERSIONS)
        call = Call(Deadline.after(self.settings.patience))
        found = to_description(await connection.first(connection.stub.Describe, request, call))
        if found is None:
            raise ConfigurationError(f"{connection.where} does something that this release does not know")
        return found

    def _check(self, described: Description, where: str) -> None:
        if described.contract_version not in CONTRACT_VERSIONS:
            raise ConfigurationError(f"{where} wants to speak version {described.contract_version} of PluginService")
        if described.role is not self.role:
            raise ConfigurationError(f"{where} is a {_words(described.role)}, not a {_words(self.role)}")

    def _file(self) -> Path | None:
        if self.cache_directory is None:
            return None
        told = "\0".join((self.settings.component, self.role.value, *self.settings.addresses))
        return self.cache_directory / f"{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}.description"

    def _remembered(self) -> Description | None:
        """What it said the last time. Whatever cannot be read is not remembered."""
        file = self._file()
        with suppress(OSError, DecodeError):
            return None if file is None else to_description(pb.DescribeResponse.FromString(file.read_bytes()))
        return None

    def _remember(self, described: Description) -> None:
        if (file := self._file()) is None:
            return
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            written = file.with_suffix(f".{os.getpid()}")
            written.write_bytes(from_description(described).SerializeToString())
            written.replace(file)


async def paused(messages: Iterable[T]) -> AsyncGenerator[T, None]:
    """Messages that take work to make, with pauses for others."""
    pauses = Pauses()
    for each in messages:
        yield each
        await pauses.take()


def _words(role: PluginRole) -> str:
    return {"llm": "language model"}.get(role.value, role.value)
