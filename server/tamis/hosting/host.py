"""Configured plugins, opened and at work for callers elsewhere, without a word of gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import structlog

from tamis.component import Component
from tamis.config import Config
from tamis.context import Call
from tamis.errors import InvalidRequest, NotFound
from tamis.event_loops import maker
from tamis.generator import Generator
from tamis.hosting.description import (
    CONTRACT_VERSIONS,
    Description,
    FingerprintChanged,
    PluginRole,
    UnsupportedContract,
)
from tamis.hosting.indexes import HostedIndex, HostedIndexes
from tamis.model import Candidate, Query, Value
from tamis.models import Embedder, EmbedsSparse, EmbedsTokens, Llm
from tamis.overrides import Override, checked_value
from tamis.plugins import build
from tamis.stage import HasIndex, Reranker, Retriever
from tamis.stage_loop import StageLoop

__all__ = ["PluginHost"]

T = TypeVar("T")
Role = TypeVar("Role", bound=Component)
_LOG = structlog.get_logger(__name__)
_PATIENCE = 5.0  # seconds that the components' loop may take to answer at the end
_ROLES: dict[type[Component], PluginRole] = {
    Embedder: PluginRole.EMBEDDER,
    Reranker: PluginRole.RERANKER,
    Retriever: PluginRole.RETRIEVER,
    Generator: PluginRole.GENERATOR,
    Llm: PluginRole.LLM,
}


class PluginHost:
    """The models and stages of a configuration. Lives on one event loop; they run on another, so that one that blocks
    stops neither health checks nor refusals. Pipelines, journal and prices of the configuration count for nothing."""

    def __init__(self, config: Config) -> None:
        """Builds what the configuration names. Raises `ConfigurationError`. Call `open` next."""
        self.config = config
        self.components = build(config)
        self._loop = StageLoop(maker(config.server.event_loop))
        self._indexes = HostedIndexes(config.plugin_server.data_directory)

    async def open(self) -> None:
        """Opens every component. Raises `ConfigurationError`."""
        self._loop.start()
        try:
            await self._loop.run(self.components.open)
        except BaseException:
            self._loop.close()
            raise

    async def close(self) -> None:
        """Closes indexes and components, unless one of them blocks their loop for good."""
        alive = await self._loop.answers(within=_PATIENCE)
        if alive:
            await self._loop.run(self._indexes.close)
            await self._loop.run(self.components.close)
        else:
            _LOG.error("a plugin blocks the others; they are not closed")
        await asyncio.to_thread(self._loop.close, patience=_PATIENCE if alive else 0.0)

    async def answers(self, *, within: float) -> bool:
        """Whether a component that runs lets the others run, too, within so many seconds."""
        return await self._loop.answers(within=within)

    def served(self) -> list[str]:
        """The names of the components that can be asked for."""
        return sorted(name for name, each in self.components.items() if _role(each) is not None)

    def describe(self, name: str, versions: Collection[int]) -> Description:
        """What a component is. Raises `NotFound`, `UnsupportedContract`."""
        component = self._component(name)
        role = _role(component)
        spoken = [each for each in CONTRACT_VERSIONS if each in versions]
        if not spoken:
            raise UnsupportedContract
        if role is None:
            raise NotFound("component", name, available=self.served(), field="component")
        plugin = self.components.plugin_of(name)
        return Description(
            role,
            component.capabilities,
            spoken[-1],
            plugin.name,
            f"{plugin.distribution} {plugin.version}",
            component.Settings.model_json_schema(),
            isinstance(component, HasIndex),
            component.dimensions if isinstance(component, Embedder) else 0,
            component.max_tokens if isinstance(component, Embedder) else 0,
            component.fingerprint if isinstance(component, Embedder) else "",
            component.context_token_count if isinstance(component, Llm) else 0,
            isinstance(component, Embedder) and isinstance(component, EmbedsSparse),
            isinstance(component, Embedder) and isinstance(component, EmbedsTokens),
        )

    def component(self, name: str, role: type[Role], version: int) -> Role:
        """A component that does what is asked. Raises `NotFound`, `UnsupportedContract`, `InvalidRequest`."""
        component = self._component(name)
        if version not in CONTRACT_VERSIONS:
            raise UnsupportedContract
        if not isinstance(component, role):
            raise InvalidRequest.of("call.component", f"{name!r} is no {role.__name__}")
        return component

    def options(self, component: Component, options: Mapping[str, Value]) -> dict[str, object]:
        """Settings for one call, of their own types. Raises `InvalidRequest`."""
        return {
            name: checked_value(component, Override("this component", name, value, f'call.options["{name[:64]}"]'))
            for name, value in options.items()
        }

    def check_fingerprint(self, embedder: Embedder, fingerprint: str) -> None:
        """Raises `FingerprintChanged` when the caller knows another model."""
        if fingerprint != embedder.fingerprint:
            raise FingerprintChanged("the embedder runs another model than it was asked for")

    async def retrieve(
        self, name: str, query: Query, index: tuple[str, str] | None, *, limit: int, call: Call, version: int
    ) -> Sequence[Candidate]:
        """What a component finds; `index` is key and language of the one to look into."""
        retriever = self.component(name, Retriever, version)

        async def work() -> Sequence[Candidate]:
            found = query
            if isinstance(retriever, HasIndex):
                key, language = index or ("", "")
                await self._indexes.get(name, retriever, key, language).opened(make=False)
                found = Query(query.text, key, query.filter)
            return await retriever.retrieve(found, limit=limit, call=call)

        return await self.run(work)

    async def at_index(
        self,
        name: str,
        key: str,
        language: str,
        version: int,
        work: Callable[[HostedIndex], Coroutine[Any, Any, T]],
    ) -> T:
        """What `work` gives for an index, once that has been done; who leaves meanwhile does not interrupt it."""
        component = self.component(name, Retriever, version)

        async def done() -> T:
            return await asyncio.shield(work(self._indexes.get(name, component, key, language)))

        return await self.run(done)

    def held(self, name: str, key: str, language: str, version: int) -> AsyncGenerator[tuple[str, int], None]:
        """Every passage of an index with its version."""
        component = self.component(name, Retriever, version)
        return self.stream(lambda: self._indexes.get(name, component, key, language).ids())

    async def drop(self, name: str, key: str, language: str, version: int) -> None:
        """Removes an index."""
        await self.at_index(name, key, language, version, lambda index: index.drop())

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work()` returns on the components' loop. Cancelling the await cancels it."""
        return await self._loop.run(work)

    def stream(self, work: Callable[[], AsyncIterator[T]]) -> AsyncGenerator[T, None]:
        """What `work()` yields on the components' loop. Closing cancels it."""
        return self._loop.stream(lambda: _generated(work()))

    def _component(self, name: str) -> Component:
        if name not in self.components:
            raise NotFound("component", name, available=self.served(), field="component")
        return self.components[name]


async def _generated(source: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    async for each in source:
        yield each


def _role(component: Component) -> PluginRole | None:
    return next((role for kind, role in _ROLES.items() if isinstance(component, kind)), None)
