"""What Tamis means in Qdrant's words, and back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import grpc as api

from tamis.model import Candidate, Passage, ScoreKind
from tamis.models import SparseVector
from tamis.terms import AllOf, AnyOf, HasAny, NoneOf, TermCondition, terms
from tamis_qdrant.settings import QdrantSettings
from tamis_qdrant.vectors import NamedVectors, Vector

__all__ = [
    "batches",
    "candidates",
    "collection",
    "condition",
    "identities",
    "older",
    "point",
    "query",
    "read_consistency",
    "shape",
]

_NEVER = "-"  # no term looks like this, so that an empty "any" finds nothing
_IDENTITY = api.WithPayloadSelector(include=api.PayloadIncludeSelector(fields=["p", "v"]))
_LARGEST_REQUEST = 4 << 20  # bytes


def collection(name: str, vectors: Sequence[NamedVectors], settings: QdrantSettings) -> api.CreateCollection:
    """The collection with its named vectors."""
    dense, sparse = api.VectorParamsMap(), api.SparseVectorConfig()
    for each in vectors:
        definition = each.definition
        if definition["kind"] == "words":
            sparse.map[each.name].modifier = api.Modifier.Idf
        elif definition["kind"] == "learned-sparse":
            sparse.map[each.name].SetInParent()
        else:
            params = dense.map[each.name]
            params.size, params.distance = definition["size"], api.Distance.Cosine
            params.on_disk = settings.on_disk
            if definition["kind"] == "tokens":
                params.multivector_config.comparator = api.MultiVectorComparator.MaxSim
    return api.CreateCollection(
        collection_name=name,
        vectors_config=api.VectorsConfig(params_map=dense),
        sparse_vectors_config=sparse if sparse.map else None,
        shard_number=settings.shard_number,
        replication_factor=settings.replication_factor,
        write_consistency_factor=settings.write_consistency,
        quantization_config=_quantization(settings.quantization),
    )


def shape(made: api.CreateCollection | api.CollectionParams) -> tuple[dict[str, int], set[str]]:
    """The sizes of a collection's dense vectors, and the names of its sparse ones."""
    dense = {name: params.size for name, params in made.vectors_config.params_map.map.items()}
    return dense, set(made.sparse_vectors_config.map)


def point(passage: Passage, vectors: Mapping[str, Vector | None]) -> api.PointStruct:
    """A version of a passage: its vectors, those that it has, and what it takes to filter, replace and name it."""
    name = f"{passage.document_version}:{passage.id}"
    named = {name: _vector(each) for name, each in vectors.items() if each is not None}
    return api.PointStruct(
        id=api.PointId(uuid=str(uuid.uuid5(uuid.NAMESPACE_OID, name))),
        vectors=api.Vectors(vectors=api.NamedVectors(vectors=named)),
        payload={
            "p": api.Value(string_value=passage.id),
            "d": api.Value(string_value=passage.document_id),
            "v": api.Value(integer_value=passage.document_version),
            "t": _strings(sorted(terms(passage.metadata))),
        },
    )


def batches(points: Iterable[api.PointStruct]) -> Iterator[list[api.PointStruct]]:
    """The points in groups of about four megabytes; a larger point goes alone."""
    batch: list[api.PointStruct] = []
    size = 0
    for each in points:
        if batch and size + each.ByteSize() > _LARGEST_REQUEST:
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += each.ByteSize()
    if batch:
        yield batch


def older(versions: Mapping[str, int]) -> api.Filter:
    """The points of documents that are of an older version than is said of each."""
    return api.Filter(should=[_older(document, version) for document, version in versions.items()])


def condition(wanted: TermCondition) -> api.Filter:
    """The same condition on points. A term is a digest, so nothing in it can be anything but a term."""
    match wanted:
        case HasAny(found):
            return api.Filter(must=[_field("t", api.Match(keywords=api.RepeatedStrings(strings=found or [_NEVER])))])
        case AllOf(operands):
            return api.Filter(must=[_nested(each) for each in operands])
        case AnyOf(operands):
            return api.Filter(should=[_nested(each) for each in operands or [HasAny(())]])
        case NoneOf(operand):
            return api.Filter(must_not=[_nested(operand)])


def query(
    name: str, vectors: str, vector: Vector, wanted: TermCondition | None, limit: int, consistency: Any
) -> api.QueryPoints:
    """The nearest points by one of their vectors."""
    return api.QueryPoints(
        collection_name=name,
        query=api.Query(nearest=_input(vector)),
        using=vectors,
        filter=None if wanted is None else condition(wanted),
        limit=limit,
        with_payload=_IDENTITY,
        read_consistency=consistency,
    )


def candidates(found: Iterable[api.ScoredPoint], kind: ScoreKind) -> list[Candidate]:
    """What a search found, best first; of a passage that is there in several versions the latest."""
    latest: dict[str, Candidate] = {}
    for each in found:
        id, version = each.payload["p"].string_value, each.payload["v"].integer_value
        if id not in latest or version > latest[id].document_version:
            latest[id] = Candidate(id, version, each.score, kind)
    return sorted(latest.values(), key=lambda each: -each.score)


def identities(points: Iterable[api.RetrievedPoint]) -> list[tuple[str, int]]:
    """Passage ids and versions of points; marks have none."""
    held = [each.payload for each in points if "p" in each.payload]
    return [(each["p"].string_value, each["v"].integer_value) for each in held]


def read_consistency(setting: str | int | None) -> api.ReadConsistency | None:
    """How many replicas must agree."""
    if setting is None:
        return None
    if isinstance(setting, int):
        return api.ReadConsistency(factor=setting)
    return api.ReadConsistency(type=api.ReadConsistencyType.Value(setting.capitalize()))


def _quantization(kind: str) -> api.QuantizationConfig | None:
    if kind == "scalar":
        return api.QuantizationConfig(scalar=api.ScalarQuantization(type=api.QuantizationType.Int8))
    return api.QuantizationConfig(binary=api.BinaryQuantization()) if kind == "binary" else None


def _vector(vector: Vector) -> api.Vector:
    if isinstance(vector, SparseVector):
        return api.Vector(sparse=_sparse(vector))
    return api.Vector(multi_dense=_multi(vector)) if vector.ndim == 2 else api.Vector(dense=_dense(vector))


def _input(vector: Vector) -> api.VectorInput:
    if isinstance(vector, SparseVector):
        return api.VectorInput(sparse=_sparse(vector))
    if vector.ndim == 2:
        return api.VectorInput(multi_dense=_multi(vector))
    return api.VectorInput(dense=_dense(vector))


def _sparse(vector: SparseVector) -> api.SparseVector:
    return api.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())


def _multi(vectors: np.ndarray[Any, Any]) -> api.MultiDenseVector:
    return api.MultiDenseVector(vectors=[_dense(each) for each in vectors])


def _dense(vector: np.ndarray[Any, Any]) -> api.DenseVector:
    return api.DenseVector(data=vector.tolist())


def _strings(values: Iterable[str]) -> api.Value:
    return api.Value(list_value=api.ListValue(values=[api.Value(string_value=each) for each in values]))


def _older(document: str, version: int) -> api.Condition:
    below = api.Condition(field=api.FieldCondition(key="v", range=api.Range(lt=version)))
    return api.Condition(filter=api.Filter(must=[_field("d", api.Match(keyword=document)), below]))


def _field(key: str, match: api.Match) -> api.Condition:
    return api.Condition(field=api.FieldCondition(key=key, match=match))


def _nested(wanted: TermCondition) -> api.Condition:
    return api.Condition(filter=condition(wanted))
