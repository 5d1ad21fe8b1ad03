"""A Qdrant server for tests: the published gRPC services over a real socket, in memory, by brute force.

It is written from the protos that `qdrant-client` publishes and from Qdrant's documentation and sources, and is strict
about what Qdrant refuses. It proves what crosses the wire. It does not prove that Qdrant does what it says.
"""

from __future__ import annotations

import math
import operator
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
import numpy as np
from held_port import HeldPort
from qdrant_client import grpc as api

__all__ = ["QdrantWire", "Request"]

_Point: TypeAlias = tuple[dict[str, Any], dict[str, Any]]
"""Payload as Python values, vectors by name: an array [d], an array [tokens, d], or weights by index."""

_THREADS = 16

_INVALID, _MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


class Refusal(Exception):
    """What the server answers instead."""

    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


@dataclass(frozen=True)
class Request:
    """One call as it came over the wire: the method's name, the message, the metadata, the seconds it had left."""

    method: str
    message: Any
    metadata: Mapping[str, str]
    remaining: float | None


@dataclass
class _Collection:
    made: api.CreateCollection
    points: dict[str, _Point] = field(default_factory=dict)
    indexed: set[str] = field(default_factory=set)

    @property
    def dense(self) -> Mapping[str, api.VectorParams]:
        return self.made.vectors_config.params_map.map

    @property
    def sparse(self) -> Mapping[str, api.SparseVectorParams]:
        return self.made.sparse_vectors_config.map


def _all_started() -> ThreadPoolExecutor:
    """Threads that are there from the start: one that came while a plugin is observed would count as the plugin's."""
    threads, meeting = ThreadPoolExecutor(_THREADS, thread_name_prefix="qdrant-wire"), threading.Barrier(_THREADS)
    list(threads.map(lambda _: meeting.wait(), range(_THREADS)))
    return threads


class QdrantWire:
    """Start it, stop it, start it again on the same port: what was written is there.

    `requests` are all calls answered or refused. `key` is wanted of every caller unless empty. While `held` nothing is
    answered; `failing` maps a method's name to the status it answers with; `update_status`, if set, is what every write
    says of itself.
    """

    def __init__(self, *, key: str = "", credentials: grpc.ServerCredentials | None = None) -> None:
        self.key, self._credentials = key, credentials
        self.collections: dict[str, _Collection] = {}
        self.requests: list[Request] = []
        self.answered: list[str] = []
        self.cancelled: list[str] = []
        self.failing: dict[str, grpc.StatusCode] = {}
        self.update_status: int | None = None
        self.arrived = threading.Condition()
        self._held = False
        self._port = HeldPort()
        self._server: Any = None
        self._threads: ThreadPoolExecutor | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._credentials else 'http'}://localhost:{self._port.number}"

    def start(self) -> QdrantWire:
        """Listens; each time on the same port."""
        self._threads = _all_started()
        self._server = grpc.server(self._threads, options=[("grpc.so_reuseport", 0)])
        api.add_CollectionsServicer_to_server(_Collections(self), self._server)
        api.add_PointsServicer_to_server(_Points(self), self._server)
        if self._credentials:
            self._server.add_secure_port(self._port.address, self._credentials)
        else:
            self._server.add_insecure_port(self._port.address)
        self._server.start()
        return self

    def stop(self) -> None:
        """As if killed: calls under way break off."""
        self._release()
        self._server.stop(None).wait()
        if self._threads:
            self._threads.shutdown()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Nothing is answered until the end."""
        self._held = True
        try:
            yield
        finally:
            self._release()

    def calls(self, *methods: str) -> list[Request]:
        """The calls of these methods, in the order they came."""
        return [each for each in self.requests if each.method in methods]

    def wait_for(self, method: str, count: int = 1) -> None:
        """Returns once so many calls of a method have come. Blocks; at most half a minute."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.calls(method)) >= count, 30), f"no {method} came"

    def wait_answered(self, method: str) -> None:
        """Returns once a call of a method has been answered, and not refused. Blocks; at most half a minute."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: method in self.answered, 30), f"no {method} was answered"

    def wait_cancelled(self, method: str) -> None:
        """Returns once a held call of a method was given up by its caller. Blocks; at most half a minute."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: method in self.cancelled, 30), f"{method} was not cancelled"

    def answer(self, method: str, message: Any, context: grpc.ServicerContext, work: Callable[[], Any]) -> Any:
        """What every method does before and around its own work."""
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        with self.arrived:
            self.requests.append(Request(method, message, metadata, context.time_remaining()))
            self.arrived.notify_all()
        if self.key and metadata.get("api-key") != self.key:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid API key or JWT")
        if method in self.failing:
            context.abort(self.failing[method], "as the test wants it")
        context.add_callback(self._notify)
        try:
            with self.arrived:
                self.arrived.wait_for(lambda: not (self._held and context.is_active()))
                if context.is_active():
                    self.answered.append(method)  # nobody sees it before the work is done: the lock is held
                    self.arrived.notify_all()
                    return work()
                self.cancelled.append(method)
                self.arrived.notify_all()
                return None
        except Refusal as refusal:
            return context.abort(refusal.code, refusal.words)

    def _notify(self) -> None:
        with self.arrived:
            self.arrived.notify_all()

    def _release(self) -> None:
        with self.arrived:
            self._held = False
            self.arrived.notify_all()

    def named(self, name: str) -> _Collection:
        """Refuses a collection that is not there, as Qdrant does."""
        if name not in self.collections:
            raise Refusal(_MISSING, f"Not found: Collection `{name}` doesn't exist!")
        return self.collections[name]


class _Collections(api.CollectionsServicer):
    def __init__(self, wire: QdrantWire) -> None:
        self._wire = wire

    def Create(self, request: api.CreateCollection, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return self._wire.answer("Create", request, context, lambda: self._create(request))

    def Delete(self, request: api.DeleteCollection, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def work() -> api.CollectionOperationResponse:
            gone = self._wire.collections.pop(request.collection_name, None)
            return api.CollectionOperationResponse(result=gone is not None)

        return self._wire.answer("Delete", request, context, work)

    def CollectionExists(self, request: api.CollectionExistsRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        found = api.CollectionExists(exists=request.collection_name in self._wire.collections)
        return self._wire.answer(
            "CollectionExists", request, context, lambda: api.CollectionExistsResponse(result=found)
        )

    def Get(self, request: api.GetCollectionInfoRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def work() -> api.GetCollectionInfoResponse:
            made = self._wire.named(request.collection_name).made
            params = api.CollectionParams(
                vectors_config=made.vectors_config, sparse_vectors_config=made.sparse_vectors_config
            )
            config = api.CollectionConfig(params=params)
            info = api.CollectionInfo(status=api.CollectionStatus.Green, config=config)
            return api.GetCollectionInfoResponse(result=info)

        return self._wire.answer("GetCollection", request, context, work)

    def List(self, request: api.ListCollectionsRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        names = [api.CollectionDescription(name=name) for name in self._wire.collections]
        return self._wire.answer("List", request, context, lambda: api.ListCollectionsResponse(collections=names))

    def _create(self, request: api.CreateCollection) -> api.CollectionOperationResponse:
        name = request.collection_name
        if not 1 <= len(name) <= 255 or set(name) & set('<>:"/\\|?*\0'):
            raise Refusal(_INVALID, "Validation error in body: collection_name")
        if name in self._wire.collections:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Wrong input: Collection `{name}` already exists!")
        for params in request.vectors_config.params_map.map.values():
            if not 1 <= params.size <= 65_536 or params.distance == api.Distance.UnknownDistance:
                raise Refusal(_INVALID, "Wrong input: vector parameters")
        if request.vectors_config.params_map.map.keys() & request.sparse_vectors_config.map.keys():
            raise Refusal(_INVALID, "Wrong input: dense and sparse vector names must be unique")
        self._wire.collections[name] = _Collection(request)
        return api.CollectionOperationResponse(result=True)


class _Points(api.PointsServicer):
    def __init__(self, wire: QdrantWire) -> None:
        self._wire = wire
        self._operations = 0

    def CreateFieldIndex(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def work() -> api.PointsOperationResponse:
            self._wire.named(request.collection_name).indexed.add(request.field_name)
            return self._done(request)

        return self._wire.answer("CreateFieldIndex", request, context, work)

    def Upsert(self, request: api.UpsertPoints, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def work() -> api.PointsOperationResponse:
            collection = self._wire.named(request.collection_name)
            if not request.points:
                raise Refusal(_INVALID, "Validation error: points must not be empty")
            # A bad batch is refused whole.
            collection.points.update([_point(each, collection) for each in request.points])
            return self._done(request)

        return self._wire.answer("Upsert", request, context, work)

    def Delete(self, request: api.DeletePoints, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return self._wire.answer("DeletePoints", request, context, lambda: self._delete(request))

    def Get(self, request: api.GetPoints, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def work() -> api.GetResponse:
            points = self._wire.named(request.collection_name).points
            keys = [_key(each) for each in request.ids]
            found = [_retrieved(key, points[key], request.with_payload) for key in keys if key in points]
            return api.GetResponse(result=found)

        return self._wire.answer("Get", request, context, work)

    def Scroll(self, request: api.ScrollPoints, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return self._wire.answer("Scroll", request, context, lambda: self._scroll(request))

    def Query(self, request: api.QueryPoints, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def work() -> api.QueryResponse:
            return api.QueryResponse(result=_search(self._wire.named(request.collection_name), request))

        return self._wire.answer("Query", request, context, work)

    def QueryBatch(self, request: api.QueryBatchPoints, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def work() -> api.QueryBatchResponse:
            collection = self._wire.named(request.collection_name)
            if any(each.collection_name != request.collection_name for each in request.query_points):
                raise Refusal(_INVALID, "Collection name in batch and query differ")
            found = [api.BatchResult(result=_search(collection, each)) for each in request.query_points]
            return api.QueryBatchResponse(result=found)

        return self._wire.answer("QueryBatch", request, context, work)

    def _delete(self, request: api.DeletePoints) -> api.PointsOperationResponse:
        collection = self._wire.named(request.collection_name)
        selector = request.points
        match selector.WhichOneof("points_selector_one_of"):
            case "points":
                gone = [_key(each) for each in selector.points.ids]
            case "filter":
                gone = [key for key, each in collection.points.items() if _holds(selector.filter, key, each)]
            case _:
                raise Refusal(_INVALID, "PointSelector is missing")
        for key in gone:
            collection.points.pop(key, None)
        return self._done(request)

    def _scroll(self, request: api.ScrollPoints) -> api.ScrollResponse:
        points = self._wire.named(request.collection_name).points
        first = _order(_key(request.offset)) if request.HasField("offset") else (0, "")
        limit = request.limit if request.HasField("limit") else 10
        matching = sorted(
            (key for key in points if _order(key) >= first and _holds(request.filter, key, points[key])), key=_order
        )
        page = [_retrieved(key, points[key], request.with_payload) for key in matching[:limit]]
        following = _id(matching[limit]) if len(matching) > limit else None
        return api.ScrollResponse(result=page, next_page_offset=following)

    def _done(self, request: Any) -> api.PointsOperationResponse:
        self._operations += 1
        status = api.UpdateStatus.Completed if request.wait else api.UpdateStatus.Acknowledged
        if self._wire.update_status is not None:
            status = self._wire.update_status
        return api.PointsOperationResponse(result=api.UpdateResult(operation_id=self._operations, status=status))


def _point(point: api.PointStruct, collection: _Collection) -> tuple[str, _Point]:
    """A point as it is stored; cosine vectors at unit length."""
    if not point.HasField("vectors"):
        raise Refusal(_INVALID, "Expected some vectors")
    if point.vectors.WhichOneof("vectors_options") != "vectors":
        raise Refusal(_INVALID, "Wrong input: Not existing vector name error: ")
    vectors = {name: _stored(name, each, collection) for name, each in point.vectors.vectors.vectors.items()}
    return _key(point.id), ({key: _value(each) for key, each in point.payload.items()}, vectors)


def _stored(name: str, vector: api.Vector, collection: _Collection) -> Any:
    kind = vector.WhichOneof("vector")
    if name in collection.sparse:
        if kind != "sparse":
            raise Refusal(_INVALID, "Wrong input: Conversion between sparse and regular vectors failed")
        return _weights(vector.sparse)
    return _dense(name, kind, vector, collection)


def _dense(name: str, kind: str | None, vector: Any, collection: _Collection) -> np.ndarray:
    if name not in collection.dense:
        raise Refusal(_INVALID, f"Wrong input: Not existing vector name error: {name}")
    params = collection.dense[name]
    rows = [vector.dense] if kind == "dense" else list(vector.multi_dense.vectors) if kind == "multi_dense" else []
    if not rows or (len(rows) > 1 and not params.HasField("multivector_config")):
        raise Refusal(_INVALID, "Wrong input: Conversion between multi and regular vectors failed")
    for row in rows:
        if len(row.data) != params.size:
            words = f"expected dim: {params.size}, got {len(row.data)}"
            raise Refusal(_INVALID, f"Wrong input: Vector dimension error: {words}")
    values = np.array([row.data for row in rows], np.float32)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if params.distance == api.Distance.Cosine:
        values = np.divide(values, lengths, out=values.copy(), where=lengths > 0)
    return values if params.HasField("multivector_config") else values[0]


def _weights(vector: api.SparseVector) -> dict[int, float]:
    if len(vector.indices) != len(vector.values):
        raise Refusal(_INVALID, "Validation error: indices and values must be the same length")
    if len(set(vector.indices)) != len(vector.indices):
        raise Refusal(_INVALID, "Validation error: indices must be unique")
    return dict(zip(vector.indices, vector.values, strict=True))


def _search(collection: _Collection, request: api.QueryPoints) -> list[api.ScoredPoint]:
    """Every point that has the vector and fulfils the filter, by falling score."""
    if request.query.WhichOneof("variant") != "nearest":
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "this server knows nearest alone")
    if request.HasField("limit") and request.limit < 1:
        raise Refusal(_INVALID, "Validation error: limit must be 1 or larger")
    score = _scorer(collection, request.using, request.query.nearest)
    fulfilling = _fulfilling(request.filter, collection.points)
    found = [
        (score(vectors[request.using]), key)
        for key, (_, vectors) in collection.points.items()
        if request.using in vectors and key in fulfilling
    ]
    found = sorted(((value, key) for value, key in found if value is not None), key=lambda each: (-each[0], each[1]))
    limit = request.limit if request.HasField("limit") else 10
    return [
        api.ScoredPoint(id=_id(key), score=value, payload=_selected(collection.points[key][0], request.with_payload))
        for value, key in found[:limit]
    ]


def _scorer(collection: _Collection, using: str, nearest: api.VectorInput) -> Callable[[Any], float | None]:
    kind = nearest.WhichOneof("variant")
    if using in collection.sparse:
        if kind != "sparse":
            raise Refusal(_INVALID, "Wrong input: Conversion between sparse and regular vectors failed")
        return _sparse_scorer(collection, using, _weights(nearest.sparse))
    asked = _dense(using, kind, nearest, collection)
    if asked.ndim == 2:
        return lambda held: float((asked @ held.T).max(axis=1).sum())
    return lambda held: float(asked @ held)


def _sparse_scorer(
    collection: _Collection, using: str, asked: Mapping[int, float]
) -> Callable[[Mapping[int, float]], float | None]:
    """The dot product with what shares an index; by the IDF modifier, if any, as Qdrant computes it."""
    held = [vectors[using] for _, vectors in collection.points.values() if using in vectors]
    weights = dict(asked)
    if collection.sparse[using].modifier == api.Modifier.Idf:
        counts = Counter(index for each in held for index in each)
        for index in weights:
            frequency = counts[index]
            weights[index] *= math.log((len(held) - frequency + 0.5) / (frequency + 0.5) + 1)

    def score(vector: Mapping[int, float]) -> float | None:
        shared = weights.keys() & vector.keys()
        return sum(weights[index] * vector[index] for index in shared) if shared else None

    return score


def _holds(filter: api.Filter, key: str, point: _Point) -> bool:
    if filter.HasField("min_should"):
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "this server does not know min_should")
    return (
        all(_fulfils(each, key, point) for each in filter.must)
        and (not filter.should or any(_fulfils(each, key, point) for each in filter.should))
        and not any(_fulfils(each, key, point) for each in filter.must_not)
    )


def _fulfilling(filter: api.Filter, points: Mapping[str, _Point]) -> set[str]:
    """The points for which `_holds`. Reads each condition once, which counts where there are many keywords in it."""

    def of(condition: api.Condition) -> set[str]:
        kind = condition.WhichOneof("condition_one_of")
        if kind == "filter":
            return _fulfilling(condition.filter, points)
        if kind == "field" and condition.field.match.WhichOneof("match_value") == "keywords":
            field, wanted = condition.field.key, _matching(condition.field.match)
            held = ((key, payload.get(field, [])) for key, (payload, _) in points.items())
            return {key for key, each in held if not wanted.isdisjoint(each if isinstance(each, list) else [each])}
        return {key for key, each in points.items() if _fulfils(condition, key, each)}

    if filter.HasField("min_should"):
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "this server does not know min_should")
    found = set(points).intersection(*map(of, filter.must))
    if filter.should:
        found &= set().union(*map(of, filter.should))
    return found.difference(*map(of, filter.must_not))


def _fulfils(condition: api.Condition, key: str, point: _Point) -> bool:
    match condition.WhichOneof("condition_one_of"):
        case "filter":
            return _holds(condition.filter, key, point)
        case "has_id":
            return key in {_key(each) for each in condition.has_id.has_id}
        case "field":
            held = point[0].get(condition.field.key, [])
            values = held if isinstance(held, list) else [held]
            if condition.field.HasField("range"):
                return any(_within(condition.field.range, each) for each in values)
            return bool(_matching(condition.field.match) & set(values))
        case other:
            raise Refusal(grpc.StatusCode.UNIMPLEMENTED, f"this server does not know the condition {other}")


def _matching(match: api.Match) -> set[Any]:
    match match.WhichOneof("match_value"):
        case "keyword":
            return {match.keyword}
        case "keywords":
            return set(match.keywords.strings)
        case "integer":
            return {match.integer}
        case other:
            raise Refusal(grpc.StatusCode.UNIMPLEMENTED, f"this server does not know the match {other}")


def _within(wanted: api.Range, value: Any) -> bool:
    """Numbers alone are in a range, and truth values are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    compared = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}
    return all(compare(value, getattr(wanted, name)) for name, compare in compared.items() if wanted.HasField(name))


def _retrieved(key: str, point: _Point, selector: api.WithPayloadSelector) -> api.RetrievedPoint:
    return api.RetrievedPoint(id=_id(key), payload=_selected(point[0], selector))


def _selected(payload: Mapping[str, Any], selector: api.WithPayloadSelector) -> dict[str, api.Value]:
    match selector.WhichOneof("selector_options"):
        case "enable":
            wanted: Sequence[str] = [*payload] if selector.enable else []
        case "include":
            wanted = [key for key in payload if key in selector.include.fields]
        case "exclude":
            wanted = [key for key in payload if key not in selector.exclude.fields]
        case _:
            wanted = []
    return {key: _message(payload[key]) for key in wanted}


def _value(value: api.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return [_value(each) for each in value.list_value.values]
    if kind not in ("string_value", "integer_value", "double_value", "bool_value"):
        raise Refusal(_INVALID, "Payload value is missing")
    return getattr(value, kind)


def _message(value: Any) -> api.Value:
    if isinstance(value, list):
        return api.Value(list_value=api.ListValue(values=[_message(each) for each in value]))
    kinds = {bool: "bool_value", int: "integer_value", float: "double_value", str: "string_value"}
    return api.Value(**{kinds[type(value)]: value})


def _key(id: api.PointId) -> str:
    match id.WhichOneof("point_id_options"):
        case "num":
            return str(id.num)
        case "uuid":
            try:
                return str(uuid.UUID(id.uuid))
            except ValueError:
                raise Refusal(_INVALID, f"Unable to parse UUID: {id.uuid}") from None
        case _:
            raise Refusal(_INVALID, "Empty ID is not allowed")


def _id(key: str) -> api.PointId:
    return api.PointId(num=int(key)) if key.isdigit() else api.PointId(uuid=key)


def _order(key: str) -> tuple[int, str]:
    """Numbers come before UUIDs."""
    return (0, f"{int(key):020}") if key.isdigit() else (1, key)
