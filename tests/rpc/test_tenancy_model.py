"""Three tenants and an operator do what they like; each must see just what a model of it alone says."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from real_server import CallFailed, Client, Servers, fakes
from tenants import Tenants, with_tenants

from tamis.v1 import filter_pb2, index_service_pb2, passage_pb2, search_service_pb2, value_pb2
from tamis.wire.values import from_metadata, to_metadata

TANTIVY = '[stages.bm25]\nplugin = "tantivy"\n[pipelines.default]\nexpression = "bm25 % 100"\n'
NAMES = ("a", "b", "a-b")
COLLECTIONS = ("shared", "own")
IDS = ("x", "y", "a/x", "b/x", "a-b/x", "x/a", "a/", "ü")
ACTIONS = ("write", "write", "write", "delete", "create", "drop", "delete by filter", "patch", "patch")
WORDS = ("sauce", "gravy", "soup")


@dataclass
class Model:
    """What one tenant has, by collection and id."""

    collections: dict[str, dict[str, tuple[str, int]]] = field(default_factory=lambda: {"shared": {}})


@dataclass
class Play:
    """One random run."""

    tenants: Tenants
    chance: random.Random
    models: dict[str, Model] = field(default_factory=lambda: {each: Model() for each in NAMES})
    sent: list[tuple[Client, str, Any, Any]] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)

    async def step(self) -> None:
        name = self.chance.choice(NAMES)
        client, model = self.tenants[name], self.models[name]
        collection = self.chance.choice(COLLECTIONS)
        action = self.chance.choice(ACTIONS)
        held = model.collections.get(collection)
        if action == "create" and held is None:
            await client.create(collection)
            model.collections[collection] = {}
        elif action == "drop" and held is not None and collection == "own" and self.chance.random() < 0.3:
            request = index_service_pb2.DeleteCollectionRequest(collection=collection)
            await client.call(client.index.DeleteCollection(request))
            del model.collections[collection]
        elif action == "write" and held is not None:
            wanted = {id: self._content(name) for id in self.chance.sample(IDS, 3)}
            await client.write([_message(id, *each) for id, each in wanted.items()], collection=collection)
            held.update(wanted)
        elif action == "delete" and held is not None:
            ids = self.chance.sample(IDS, 3)
            request = index_service_pb2.DeleteDocumentsRequest(collection=collection, document_ids=ids)
            deleted = await client.call(client.index.DeleteDocuments(request))
            assert deleted.deleted_count == len(held.keys() & set(ids))
            for id in ids:
                held.pop(id, None)
        elif action == "delete by filter" and held is not None:
            await self._delete_matching(client, collection, held)
        elif action == "patch" and held is not None:
            await self._patch(client, collection, held)
        if self.chance.random() < 0.2 and self.sent:
            await self._send_again()

    async def _delete_matching(self, client: Client, collection: str, held: dict[str, tuple[str, int]]) -> None:
        """Under a name that every tenant uses for requests of its own."""
        year = self.chance.randrange(3)
        request = index_service_pb2.DeleteDocumentsRequest(
            collection=collection, filter=_filter(year), request_id=self._next_name(client)
        )
        chosen = [id for id, each in held.items() if each[1] == year]
        deleted = await client.call(client.index.DeleteDocuments(request))
        assert deleted.deleted_count == len(chosen)
        for id in chosen:
            del held[id]
        self.sent.append((client, collection, request, deleted))

    async def _patch(self, client: Client, collection: str, held: dict[str, tuple[str, int]]) -> None:
        """All or none: of a document that only another tenant has, the others are left as they are."""
        ids, year = self.chance.sample(IDS, 2), self.chance.randrange(3)
        patches = [
            index_service_pb2.MetadataPatch(document_id=each, metadata=from_metadata({"year": year})) for each in ids
        ]
        request = index_service_pb2.PatchMetadataRequest(
            collection=collection, patches=patches, request_id=self._next_name(client)
        )
        missing = next((each for each in ids if each not in held), None)
        if missing is not None:
            with pytest.raises(CallFailed, match="NOT_FOUND") as caught:
                await client.call(client.index.PatchMetadata(request))
            assert caught.value.metadata == {"kind": "document", "name": missing}
            return
        done = await client.call(client.index.PatchMetadata(request))
        changed = [each for each in ids if held[each][1] != year]
        assert (done.written_count, done.unchanged_count) == (len(changed), 2 - len(changed))
        held.update({each: (held[each][0], year) for each in ids})
        self.sent.append((client, collection, request, done))

    async def _send_again(self) -> None:
        """What was answered before is answered again, and changes nothing; the collection may be another by now."""
        client, collection, request, answer = self.chance.choice(self.sent)
        if collection != "shared":
            return
        is_patch = isinstance(request, index_service_pb2.PatchMetadataRequest)
        method = client.index.PatchMetadata if is_patch else client.index.DeleteDocuments
        assert await client.call(method(request)) == answer

    def _next_name(self, client: Client) -> str:
        self.counts[id(client)] += 1
        return f"request-{self.counts[id(client)]}"

    def _content(self, name: str) -> tuple[str, int]:
        return f"{self.chance.choice(WORDS)} of {name}", self.chance.randrange(3)

    async def check(self) -> None:
        for name in NAMES:
            await self._check(self.tenants[name], self.models[name])
        operator = self.tenants[""]
        listed = await operator.call(operator.index.ListDocuments(_listing("shared")))
        kept = {f"{name}/{id}" for name, model in self.models.items() for id in model.collections["shared"]}
        assert {each.id for each in listed.documents} == kept

    async def _check(self, client: Client, model: Model) -> None:
        request = index_service_pb2.ListCollectionsRequest(page_size=100)
        known = {each.id: each for each in (await client.call(client.index.ListCollections(request))).collections}
        assert known.keys() == model.collections.keys()
        for collection, held in model.collections.items():
            assert known[collection].document_count == len(held)
            await client.wait(collection)
            await _check_documents(client, collection, held)
            for word in WORDS:
                await _check_search(client, collection, held, word)
        if "own" not in model.collections:
            with pytest.raises(CallFailed, match="NOT_FOUND"):
                await client.search("sauce", collection="own")


async def _check_documents(client: Client, collection: str, held: dict[str, tuple[str, int]]) -> None:
    listed, token = [], ""
    while True:
        page = await client.call(client.index.ListDocuments(_listing(collection, page_size=2, page_token=token)))
        listed += [each.id for each in page.documents]
        token = page.next_page_token
        if not token:
            break
    assert listed == sorted(held)
    for id in IDS:
        request = index_service_pb2.GetDocumentRequest(collection=collection, document_id=id)
        if id in held:
            got = (await client.call(client.index.GetDocument(request))).document
            assert (got.text, to_metadata(got.metadata, "")) == (held[id][0], {"year": held[id][1]})
        else:
            with pytest.raises(CallFailed, match="NOT_FOUND") as caught:
                await client.call(client.index.GetDocument(request))
            assert caught.value.metadata == {"kind": "document", "name": id}


async def _check_search(client: Client, collection: str, held: dict[str, tuple[str, int]], word: str) -> None:
    facets = [search_service_pb2.FacetSpec(field="year")]
    found = await client.search(word, collection=collection, facet_specs=facets, page_size=1_000)
    matching = {id: each for id, each in held.items() if word in each[0]}
    assert {each.passage.document_id: each.passage.text for each in found.hits} == {
        id: text for id, (text, _) in matching.items()
    }
    assert {each.passage.id.rpartition("#")[0] for each in found.hits} == matching.keys()
    counted = {each.value.int_value: each.document_count for each in found.facets[0].counts}
    assert counted == Counter(year for _, year in matching.values())
    for which in (_filter(0), filter_pb2.Filter(**{"not": _filter(0)})):
        wanted = {id for id, (_, year) in matching.items() if (year == 0) is (which.WhichOneof("condition") != "not")}
        narrowed = await client.search(word, collection=collection, filter=which, page_size=1_000)
        assert {each.passage.document_id for each in narrowed.hits} == wanted


def _filter(year: int) -> filter_pb2.Filter:
    """Or, so that a condition that is merely appended would let everything through."""
    comparison = filter_pb2.Comparison(
        field="year", operator=filter_pb2.COMPARISON_OPERATOR_EQUAL, value=value_pb2.Value(int_value=year)
    )
    either = [filter_pb2.Filter(comparison=comparison), filter_pb2.Filter(comparison=comparison)]
    return filter_pb2.Filter(**{"or": filter_pb2.FilterList(filters=either)})


def _listing(collection: str, **fields: Any) -> index_service_pb2.ListDocumentsRequest:
    return index_service_pb2.ListDocumentsRequest(collection=collection, **{"page_size": 1_000, **fields})


def _message(id: str, text: str, year: int) -> passage_pb2.Document:
    return passage_pb2.Document(id=id, text=text, metadata=from_metadata({"year": year}))


@pytest.mark.parametrize(("stages", "seed"), [(fakes("words"), 1), (fakes("words"), 2), (TANTIVY, 3)])
async def test_tenants_see_what_they_would_see_alone(servers: Servers, stages: str, seed: int) -> None:
    async with with_tenants(servers, stages) as tenants:
        request = index_service_pb2.CreateCollectionRequest(collection="shared", tenant_partitioned=True)
        await tenants[""].call(tenants[""].index.CreateCollection(request))
        play = Play(tenants, random.Random(seed))
        for number in range(80):
            await play.step()
            if number % 20 == 19:
                await play.check()
