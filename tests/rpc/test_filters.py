"""Filters end to end: the wire, both indexes, the server's own check."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from real_server import CallFailed, Client, Servers

from tamis.v1 import filter_pb2 as pb
from tamis.v1 import passage_pb2, value_pb2

STAGES = """
[models.hash]
plugin = "fake-hash"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "hash"
[pipelines.default]
expression = "bm25 | dense"
"""
Value = value_pb2.Value


def _time(*parts: int) -> Value:
    instant = Timestamp()
    instant.FromDatetime(datetime(*parts, tzinfo=UTC))  # type: ignore[arg-type,misc]
    return Value(timestamp_value=instant)


def _map(**fields: Value) -> Value:
    return Value(map_value=value_pb2.MapValue(fields=fields))


def _list(*values: Value) -> Value:
    return Value(list_value=value_pb2.ListValue(values=values))


DOCUMENTS: dict[str, dict[str, Value]] = {
    "big": {"n": Value(int_value=2**53 + 1), "lang": Value(string_value="en")},
    "float": {"n": Value(double_value=2.0**53), "lang": Value(string_value="EN")},
    "small": {"n": Value(int_value=-5), "when": _time(2026, 5, 1)},
    "null": {"n": Value(null_value=0), "when": _time(2025, 5, 1)},  # type: ignore[arg-type]
    "nested": {
        "author": _map(name=Value(string_value="Ada"), tags=_list(Value(int_value=1), Value(bool_value=True))),
        "a.b": Value(bool_value=False),
    },
    "bare": {},
}


def _where(field: str, operator: str, value: Value) -> pb.Filter:
    comparison = pb.Comparison(field=field, operator=f"COMPARISON_OPERATOR_{operator}", value=value)  # type: ignore[arg-type]
    return pb.Filter(comparison=comparison)


def _not(filter: pb.Filter) -> pb.Filter:
    return pb.Filter(**{"not": filter})


def _all(*filters: pb.Filter) -> pb.Filter:
    return pb.Filter(**{"and": pb.FilterList(filters=filters)})


CASES: list[tuple[Any, set[str]]] = [
    (_where("n", "EQUAL", Value(int_value=2**53 + 1)), {"big"}),
    (_where("n", "EQUAL", Value(int_value=2**53)), {"float"}),
    (_where("n", "GREATER", Value(double_value=2.0**53)), {"big"}),
    (_where("n", "LESS", Value(int_value=0)), {"small"}),
    (_not(_where("n", "LESS", Value(int_value=0))), set(DOCUMENTS) - {"small"}),
    (_where("n", "EQUAL", Value(null_value=0)), {"null"}),  # type: ignore[arg-type]
    (_where("lang", "NOT_EQUAL", Value(string_value="en")), set(DOCUMENTS) - {"big"}),
    (pb.Filter(existence=pb.Existence(field="n")), {"big", "float", "small", "null"}),
    (_where("when", "GREATER_OR_EQUAL", _time(2026, 1, 1)), {"small"}),
    (_where("author.name", "EQUAL", Value(string_value="Ada")), {"nested"}),
    (_where("author.tags", "EQUAL", Value(int_value=1)), {"nested"}),
    (_where("a\\.b", "EQUAL", Value(bool_value=False)), {"nested"}),
    (_where("a.b", "EQUAL", Value(bool_value=False)), set()),
    (pb.Filter(membership=pb.Membership(field="lang", values=[Value(string_value="EN")])), {"float"}),
    (pb.Filter(membership=pb.Membership(field="lang")), set()),
    (_all(), set(DOCUMENTS)),
    (pb.Filter(**{"or": pb.FilterList()}), set()),
    (_all(pb.Filter(existence=pb.Existence(field="when")), _not(_where("n", "EQUAL", Value(int_value=-5)))), {"null"}),
]


async def _filled(client: Client) -> None:
    await client.create()
    written = [passage_pb2.Document(id=key, text="sauce", metadata=fields) for key, fields in DOCUMENTS.items()]
    await client.write(written)
    await client.wait()


async def test_both_indexes_and_the_server_agree_on_every_filter(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await _filled(client)
        for filter, expected in CASES:
            for pipeline in ("bm25", "dense", "default"):
                assert await client.found("sauce", pipeline, filter) == expected, (pipeline, filter)


async def test_metadata_comes_back_as_it_was_written(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await _filled(client)
        found = await client.search("sauce", "bm25")
    assert {hit.passage.document_id: dict(hit.passage.metadata) for hit in found.hits} == DOCUMENTS


@pytest.mark.parametrize("pipeline", ["bm25", "dense"])
async def test_a_filter_that_leaves_one_in_many_still_finds_it(servers: Servers, pipeline: str) -> None:
    """Those that it finds are not only among the first that have a number."""
    async with servers.start(STAGES) as client:
        await client.create()
        for start in range(0, 1_000, 500):
            numbers = range(start, start + 500)
            await client.write(
                [
                    passage_pb2.Document(id=f"d{each}", text="sauce", metadata={"n": Value(int_value=each)})
                    for each in numbers
                ]
            )
        await client.wait()
        assert await client.found(
            "sauce", f"{pipeline} % 5", _where("n", "GREATER_OR_EQUAL", Value(int_value=997))
        ) == {
            "d997",
            "d998",
            "d999",
        }


async def test_an_operator_that_a_retriever_does_not_know_is_refused(servers: Servers) -> None:
    stages = '[stages.plain]\nplugin = "fake-unfiltered"\n[pipelines.default]\nexpression = "plain"\n'
    async with servers.start(stages) as client:
        await client.fill()
        with pytest.raises(CallFailed) as caught:
            await client.found("sauce", "", _not(pb.Filter(existence=pb.Existence(field="n"))))
        assert caught.value.violations == {"filter": "the retriever 'plain' cannot evaluate: exists, not"}
        assert await client.found("sauce") == {"sieve", "pan", "spoon"}


TEXTS = (
    *("AND", "a OR b", "terms:*", "+kind:passage", "[* TO *]", "/.*/", '"', "\\", "a:b^2~", "*", "?", "NOT x", "-"),
    *('{"must_not":[]}', '{"key":"t","match":{"any":[]}}', "'; DROP TABLE passages; --", "' OR '1'='1", "%", "_"),
    *("nul\0", "\0", "\r\n\t\x1b[0m", "\ufeff\u202e", "𝄞" * 3, "x" * 20_000),
)
NAMES = (
    *("a[].b", 'a."b"', "a[0]", "a[]", "t", "p", "d", "v", "terms", "kind", "checkpoint", "a.b.c", "a\\.b", "a$or"),
    *('{"a":1}', "f:x OR f", "x' OR '1'='1", "*", " ", "nul\0", "\n", "\\", ".", "..", "é", "e\u0301", "k" * 20_000),
)


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace(".", "\\.")


async def test_no_value_is_taken_for_anything_but_a_value(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.create()
        documents = {f"d{number}": each for number, each in enumerate(TEXTS)}
        await client.write(
            [
                passage_pb2.Document(id=key, text="sauce", metadata={"f": Value(string_value=each)})
                for key, each in documents.items()
            ]
        )
        await client.wait()
        for key, each in documents.items():
            value = Value(string_value=each)
            less = {other for other, text in documents.items() if text < each}
            for pipeline in ("bm25", "dense"):
                assert await client.found("sauce", pipeline, _where("f", "EQUAL", value)) == {key}
                assert await client.found("sauce", pipeline, _where("f", "LESS", value)) == less
                assert await client.found("sauce", pipeline, _not(_where("f", "NOT_EQUAL", value))) == {key}
                assert await client.found("sauce", pipeline, _where(_escaped(each), "EQUAL", value)) == set()


async def test_no_name_is_taken_for_anything_but_a_name(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.create()
        documents = {f"d{number}": each for number, each in enumerate(NAMES)}
        await client.write(
            [
                passage_pb2.Document(id=key, text="sauce", metadata={each: _map(**{each: Value(int_value=7)})})
                for key, each in documents.items()
            ]
        )
        await client.wait()
        for key, each in documents.items():
            field = _escaped(each)
            for pipeline in ("bm25", "dense"):
                for path in (field, f"{field}.{field}"):
                    assert await client.found("sauce", pipeline, pb.Filter(existence=pb.Existence(field=path))) == {key}
                above = _where(f"{field}.{field}", "GREATER", Value(int_value=6))
                assert await client.found("sauce", pipeline, above) == {key}


async def test_the_largest_filter_is_answered(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await _filled(client)
        values = [Value(int_value=each) for each in range(9_999)] + [Value(int_value=-5)]
        wide = pb.Filter(membership=pb.Membership(field="n", values=values))
        many = pb.Filter(**{"or": pb.FilterList(filters=[_where("n", "LESS", Value(int_value=-4))] * 999)})
        deep = _where("n", "EQUAL", Value(int_value=-5))
        for _ in range(14):
            deep = _not(deep)
        for filter in (wide, many, deep):
            for pipeline in ("bm25", "dense"):
                assert await client.found("sauce", pipeline, filter) == {"small"}
