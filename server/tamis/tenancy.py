"""What each caller may see and do: collections, ids, filters and counts, to and from those that the server keeps.

A tenant's own collection is kept under the id `TENANT/NAME`. In a collection that tenants share, a document is kept
under the id `TENANT/ID` and says in its metadata whose it is. Tenant ids hold no slash, so no two tenants' names ever
meet, whatever they look like. A caller without a tenant is an operator and sees everything as it is kept.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from tamis.compaction import Compacted
from tamis.config import TENANT_ID, Config
from tamis.context import Principal
from tamis.deadline import Deadline
from tamis.errors import AlreadyExists, InvalidRequest, NotFound, PermissionDenied
from tamis.events import Completed, Event, HitsRevised, IndexProgress
from tamis.filters import And, Compare, Filter, Operator
from tamis.generations import GenerationState
from tamis.generator import AnswerDelta
from tamis.indexes import IndexState
from tamis.journal import TENANT, Collection, DeadLetter, Patch, Written
from tamis.model import Citation, Document, Hit, Passage, Value
from tamis.pipeline import Pipelines
from tamis.search import Search
from tamis.service import Tamis, in_time
from tamis.verification import Comparison

__all__ = ["Scope", "View"]

State = TypeVar("State", IndexState, IndexProgress)


@dataclass(frozen=True, slots=True)
class Scope:
    """One caller in one collection. `collection` is as the journal has it, with counts that this caller may know;
    `name` is what the caller calls it; `owner` is whose documents there are for it, empty for all of them."""

    collection: Collection
    name: str
    owner: str = ""

    @property
    def id(self) -> str:
        """The collection's id as it is kept."""
        return self.collection.id

    def inner_id(self, id: str) -> str:
        """A document's id as it is kept."""
        return f"{self.owner}/{id}" if self.owner else id

    def inner_request_id(self, id: str) -> str:
        """A request's id as it is kept: tenants may choose the same."""
        return f"{self.owner}/{id}" if self.owner and id else id

    def inner_filter(self, filter: Filter) -> Filter:
        """A condition that none but the owner's documents satisfy."""
        return And((self._mine, filter)) if self.owner else filter

    @property
    def _mine(self) -> Filter:
        return Compare((TENANT,), Operator.EQUAL, self.owner)

    def outer_id(self, id: str) -> str:
        """The id of a document or a passage as the caller knows it."""
        return id.removeprefix(f"{self.owner}/") if self.owner else id

    def inner(self, document: Document, field: str) -> Document:
        """A document to write; `field` is its path in the request. Raises `InvalidRequest` when an operator does not
        say whose it is."""
        if not self.collection.tenant_partitioned:
            return document
        owner, slash, id = (self.owner, "/", document.id) if self.owner else document.id.partition("/")
        if not (re.fullmatch(TENANT_ID, owner) and slash and id):
            raise InvalidRequest.of(f"{field}.id", "is of the form TENANT/ID in a collection that tenants share")
        return replace(document, id=f"{owner}/{id}", metadata={**document.metadata, TENANT: owner})

    def outer(self, document: Document) -> Document:
        """A document that was read."""
        return replace(document, id=self.outer_id(document.id), metadata=_public(document.metadata))

    def inner_search(self, search: Search, principal: Principal) -> Search:
        """A search that sees nothing but the owner's documents. Raises `InvalidRequest`.

        The condition goes to every index with the query, and is checked again with the rest of the filter.
        """
        if search.min_sequence > self.collection.last_sequence:
            last = self.collection.last_sequence
            raise InvalidRequest.of("min_sequence", f"not written yet; the last one is {last}")
        if not self.owner and self.id == search.query.collection and principal == search.principal:
            return search
        query = replace(search.query, collection=self.id)
        if self.owner:
            query = replace(query, filter=self._mine if query.filter is None else self.inner_filter(query.filter))
        like = tuple(map(self.inner_id, search.like_document_ids))
        mends = search.mends_spelling and not self.owner  # the words of an index are everybody's
        return replace(search, query=query, like_document_ids=like, principal=principal, mends_spelling=mends)

    def outer_event(self, event: Event) -> Event:
        """What a search tells, in the caller's own ids."""
        if not self.collection.tenant_partitioned:
            return event
        match event:
            case HitsRevised(hits=hits):
                return replace(event, hits=tuple(map(self._hit, hits)))
            case AnswerDelta(citations=citations):
                return replace(event, citations=tuple(map(self._citation, citations)))
            case Completed(index_progress=progress):
                return replace(event, index_progress=tuple(self.states(progress)))
        return event

    def states(self, states: Sequence[State]) -> list[State]:
        """How far indexes are with the owner's documents: nothing is told of changes behind its last one."""
        if not self.owner:
            return list(states)
        last = self.collection.last_sequence
        return [
            replace(
                _without_dead_letters(each),
                applied_sequence=min(each.applied_sequence, last),
                lag_count=max(0, last - each.applied_sequence),
            )
            for each in states
        ]

    @contextmanager
    def told(self) -> Generator[None, None, None]:
        """Names what is missing, or there already, as the caller knows it."""
        try:
            yield
        except AlreadyExists as error:
            if not self.owner:
                raise
            name = self.outer_id(error.metadata["name"])
            raise AlreadyExists(f"another request was named {name!r}", metadata={"name": name}) from None
        except NotFound as error:
            kind, name = error.metadata["kind"], error.metadata["name"]
            field = error.violations[0].field if error.violations else ""
            if kind == "document":
                raise NotFound(kind, self.outer_id(name), field=field) from None
            if kind == "collection":
                raise NotFound(kind, self.name, field=field) from None
            raise

    def _hit(self, hit: Hit) -> Hit:
        return replace(hit, passage=self._passage(hit.passage))

    def _passage(self, passage: Passage) -> Passage:
        metadata = _public(passage.metadata)
        if not self.owner and metadata is passage.metadata:
            return passage
        id, document_id = self.outer_id(passage.id), self.outer_id(passage.document_id)
        return replace(passage, id=id, document_id=document_id, metadata=metadata)

    def _citation(self, citation: Citation) -> Citation:
        passage_id, document_id = self.outer_id(citation.passage_id), self.outer_id(citation.document_id)
        return replace(citation, passage_id=passage_id, document_id=document_id)


class View:
    """All that services may do for one caller. What is not here, nobody can do: a new operation has to say what of it
    is a tenant's and what an operator's."""

    def __init__(self, tamis: Tamis, principal: Principal) -> None:
        self._tamis, self._principal = tamis, principal

    @property
    def config(self) -> Config:
        """The server's configuration."""
        return self._tamis.config

    @property
    def pipelines(self) -> Pipelines:
        """The pipelines, which are everybody's."""
        return self._tamis.pipelines

    async def create_collection(self, name: str, language: str = "", *, tenant_partitioned: bool = False) -> Collection:
        """A new, empty collection. Raises `AlreadyExists`, `InvalidRequest`, `PermissionDenied`."""
        if "/" in name:
            raise InvalidRequest.of("collection", "holds a slash: a tenant's collections are created by itself")
        tenant = self._principal.tenant
        if tenant and tenant_partitioned:
            raise PermissionDenied("only an operator creates collections that tenants share")
        id = f"{tenant}/{name}" if tenant else name
        try:
            created = await self._tamis.create_collection(id, language, tenant_partitioned=tenant_partitioned)
        except AlreadyExists:
            raise AlreadyExists(f"there is a collection named {name!r}", metadata={"name": name}) from None
        return self._named(created)

    async def delete_collection(self, name: str) -> None:
        """Removes a collection with everything in it. Raises `NotFound`, `PermissionDenied`."""
        scope = await self._administered(name)
        with scope.told():
            await self._tamis.delete_collection(scope.id)

    async def collection(self, name: str) -> Collection:
        """A collection under the name that the caller gave, with counts of what it may see. Raises `NotFound`."""
        return self._named((await self._scope(name)).collection)

    async def collections(self, *, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` collections by name, those beyond `after`."""
        tenant = self._principal.tenant
        if not tenant:
            return await self._tamis.collections(limit=limit, after=after)
        found = await self._tamis.tenant_collections(tenant, limit=limit, after=after)
        return [self._named(each) for each in found]

    def index_states(self, collection: Collection) -> list[IndexState]:
        """How far each index of a collection of `collection` or `collections` has got."""
        scope = self._scope_of(collection)
        return scope.states(self._tamis.index_states(scope.collection))

    def generation_states(self, collection: Collection) -> list[GenerationState]:
        """How far each generation of such a collection has got. A tenant is told nothing of those of a shared one."""
        scope = self._scope_of(collection)
        return [] if scope.owner else self._tamis.generation_states(scope.collection)

    async def build_generation(self, name: str) -> GenerationState:
        """Begins a generation. Raises `NotFound`, `FailedPrecondition`, `PermissionDenied`."""
        scope = await self._administered(name)
        with scope.told():
            return await self._tamis.build_generation(scope.id)

    async def switch_generation(self, name: str, generation: int, *, deadline: Deadline) -> Collection:
        """Has another generation serve. Raises `NotFound`, `FailedPrecondition`, `PermissionDenied`."""
        scope = await self._administered(name)
        with scope.told():
            return self._named(await self._tamis.switch_generation(scope.id, generation, deadline=deadline))

    async def drop_generation(self, name: str, generation: int) -> None:
        """Removes a generation. Raises `NotFound`, `FailedPrecondition`, `PermissionDenied`."""
        scope = await self._administered(name)
        with scope.told():
            await self._tamis.drop_generation(scope.id, generation)

    async def compact(self, name: str) -> Compacted:
        """Gives back what has been superseded. Raises `NotFound`, `PermissionDenied`."""
        scope = await self._administered(name)
        with scope.told():
            return await self._tamis.compact(scope.id)

    async def verify(self, name: str, *, repair: bool) -> AsyncGenerator[Comparison, None]:
        """Compares the journal with every index. Raises `NotFound`, `PermissionDenied`."""
        scope = await self._administered(name)
        with scope.told():
            async with aclosing(self._tamis.verify(scope.id, repair=repair)) as comparisons:
                async for each in comparisons:
                    yield each

    async def write(self, name: str, documents: Sequence[Document], request_id: str = "") -> Written:
        """Writes all or none; on return they are durable. Raises `NotFound`, `InvalidRequest`, `AlreadyExists` for a
        request id that another request has, `Overloaded`, `Unavailable`."""
        scope = await self._scope(name)
        with scope.told():
            inner = [scope.inner(each, f"documents[{place}]") for place, each in enumerate(documents)]
            return await self._tamis.write(scope.id, inner, scope.inner_request_id(request_id))

    async def delete_documents(self, name: str, document_ids: Sequence[str], request_id: str = "") -> Written:
        """Deletes all or none; what is not there counts as unchanged."""
        scope = await self._scope(name)
        with scope.told():
            ids = [scope.inner_id(each) for each in document_ids]
            return await self._tamis.delete_documents(scope.id, ids, scope.inner_request_id(request_id))

    async def delete_matching(self, name: str, filter: Filter, request_id: str = "") -> Written:
        """Deletes every document of the caller's that satisfies the filter, or none."""
        scope = await self._scope(name)
        with scope.told():
            return await self._tamis.delete_matching(
                scope.id, scope.inner_filter(filter), scope.inner_request_id(request_id)
            )

    async def patch_metadata(self, name: str, patches: Sequence[Patch], request_id: str = "") -> Written:
        """Changes all or none. Raises `NotFound` for a document that is not there, `InvalidRequest` for too much."""
        scope = await self._scope(name)
        with scope.told():
            inner = [replace(each, document_id=scope.inner_id(each.document_id)) for each in patches]
            return await self._tamis.patch_metadata(scope.id, inner, scope.inner_request_id(request_id))

    async def dead_letters(
        self, name: str, *, limit: int, after: tuple[str, str, int] | None = None
    ) -> list[DeadLetter]:
        """Documents that an index could not take. Raises `NotFound`, `PermissionDenied`."""
        scope = await self._administered(name)
        with scope.told():
            return await self._tamis.dead_letters(scope.id, limit=limit, after=after)

    async def retry_dead_letters(self, name: str, document_ids: Sequence[str] = ()) -> Written:
        """Has every index see these documents again. Raises `NotFound`, `PermissionDenied`."""
        scope = await self._administered(name)
        with scope.told():
            return await self._tamis.retry_dead_letters(scope.id, document_ids)

    async def document(self, name: str, document_id: str) -> Document:
        """Raises `NotFound`."""
        scope = await self._scope(name)
        with scope.told():
            return scope.outer(await self._tamis.document(scope.id, scope.inner_id(document_id)))

    async def documents(self, name: str, *, limit: int, after: str = "") -> list[Document]:
        """At most `limit` documents by id, without texts, those beyond `after`."""
        scope = await self._scope(name)
        begin = scope.inner_id(after) if after else ""
        with scope.told():
            found = await self._tamis.documents(scope.id, limit=limit, after=begin, tenant=scope.owner)
        return [scope.outer(each) for each in found]

    async def wait_indexed(self, name: str, sequence: int, *, deadline: Deadline) -> list[IndexState]:
        """Returns once every index has applied `sequence`; 0 stands for the last one now.

        Raises `NotFound`, `InvalidRequest` for a sequence that has not been written, `DeadlineExceeded`.
        """
        scope = await self._scope(name)
        last = scope.collection.last_sequence
        if sequence > last:
            raise InvalidRequest.of("sequence", f"not written yet; the last one is {last}")
        if scope.owner and not last:  # 0 would stand for the last change of all tenants
            return scope.states(self._tamis.index_states(scope.collection))
        with scope.told():
            return scope.states(await self._tamis.wait_indexed(scope.id, sequence or last, deadline=deadline))

    async def search(self, search: Search, deadline: Deadline, *, request_id: str = "") -> AsyncGenerator[Event, None]:
        """The whole pipeline over a collection. Raises `NotFound`, `InvalidRequest`, `Unavailable`, `IndexBehind`."""
        scope = await in_time(self._scope(search.query.collection), deadline)
        with scope.told():
            inner = scope.inner_search(search, self._principal)
            async with aclosing(self._tamis.search(inner, deadline, request_id=request_id)) as events:
                async for event in events:
                    yield scope.outer_event(event)

    async def retrieve(
        self, search: Search, deadline: Deadline, *, request_id: str = ""
    ) -> AsyncGenerator[Event, None]:
        """The retrieval part of the pipeline. Raises like `search`."""
        scope = await in_time(self._scope(search.query.collection), deadline)
        with scope.told():
            inner = scope.inner_search(search, self._principal)
            async with aclosing(self._tamis.retrieve(inner, deadline, request_id=request_id)) as events:
                async for event in events:
                    yield scope.outer_event(event)

    def rerank(
        self, search: Search, passages: Sequence[Passage], deadline: Deadline, *, request_id: str = ""
    ) -> AsyncGenerator[Event, None]:
        """The rerankers of the pipeline over given passages. Raises `InvalidRequest` when there is none."""
        mine = replace(search, principal=self._principal)
        return self._tamis.rerank(mine, passages, deadline, request_id=request_id)

    def generate(
        self, search: Search, passages: Sequence[Passage], deadline: Deadline, *, request_id: str = ""
    ) -> AsyncGenerator[Event, None]:
        """The generator of the pipeline over given passages. Raises `InvalidRequest` when there is none."""
        mine = replace(search, principal=self._principal)
        return self._tamis.generate(mine, passages, deadline, request_id=request_id)

    async def _scope(self, name: str) -> Scope:
        tenant = self._principal.tenant
        if not tenant:
            return Scope(await self._tamis.collection(name), name)
        found = await self._tamis.tenant_collection(tenant, name)
        return Scope(found, name, tenant if found.tenant_partitioned else "")

    async def _administered(self, name: str) -> Scope:
        scope = await self._scope(name)
        if scope.owner:
            raise PermissionDenied("this is for an operator to do: other tenants share the collection")
        return scope

    def _named(self, collection: Collection) -> Collection:
        """Under the name that the caller knows it by."""
        tenant = self._principal.tenant
        return replace(collection, id=collection.id.removeprefix(f"{tenant}/")) if tenant else collection

    def _scope_of(self, named: Collection) -> Scope:
        """The way back from `_named`."""
        tenant = self._principal.tenant
        if not tenant or named.tenant_partitioned:
            return Scope(named, named.id, tenant)
        return Scope(replace(named, id=f"{tenant}/{named.id}"), named.id)


def _without_dead_letters(state: State) -> State:
    """They are counted for all tenants together."""
    return replace(state, dead_letter_count=0) if isinstance(state, IndexState) else state


def _public(metadata: Mapping[str, Value]) -> Mapping[str, Value]:
    """Without what is the server's own."""
    if not any(key.startswith("$") for key in metadata):
        return metadata
    return {key: value for key, value in metadata.items() if not key.startswith("$")}
