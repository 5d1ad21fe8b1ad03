"""Hypothesis strategies for metadata, filters, documents and pipeline expressions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import strategies as st

from tamis.expression import Chain, Cut, Expression, Join, Leaf, Prior
from tamis.filters import And, Compare, Exists, Filter, In, Not, Operator, Or, Scalar
from tamis.model import Document, Value

__all__ = ["documents", "expressions", "filters", "metadata", "scalars", "values"]

_NAMES = st.sampled_from(["a", "b", "c.d", "é"])
_EDGE = 1 << 53
_ORDERINGS = [Operator.LESS, Operator.LESS_OR_EQUAL, Operator.GREATER, Operator.GREATER_OR_EQUAL]


def scalars() -> st.SearchStrategy[Scalar]:
    """Few values of every type, so that a filter often meets its like, with those where floats lose integers."""
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 2),
        st.sampled_from([_EDGE, _EDGE + 1, -_EDGE - 1, (1 << 63) - 1, -(1 << 63)]),
        st.sampled_from([0.0, -0.0, 1.0, 1.5, float(_EDGE), 1e300, -1e300, 2.0**63]),
        st.floats(-3, 3, allow_nan=False),
        st.sampled_from(["", "a", "b", "A", "1", "null", "é", "é"]),
        st.datetimes(datetime(2020, 1, 1), datetime(2020, 1, 3), timezones=st.just(UTC)),
    )


def values() -> st.SearchStrategy[Value]:
    """Scalars, and lists and maps of them that nest a little."""
    return st.recursive(
        scalars(),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)),
        max_leaves=6,
    )


def metadata() -> st.SearchStrategy[dict[str, Value]]:
    """Metadata of one document, over few names."""
    return st.dictionaries(_NAMES, values(), max_size=4)


def filters() -> st.SearchStrategy[Filter]:
    """Filters over the same names and values as `metadata`, of every operator."""
    paths = st.lists(_NAMES, min_size=1, max_size=2).map(tuple)
    orderable = scalars().filter(lambda value: value is not None and not isinstance(value, bool))
    conditions: st.SearchStrategy[Filter] = st.one_of(
        st.builds(Compare, paths, st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL]), scalars()),
        st.builds(Compare, paths, st.sampled_from(_ORDERINGS), orderable),
        st.builds(In, paths, st.lists(scalars(), max_size=3).map(tuple)),
        st.builds(Exists, paths),
    )
    return st.recursive(
        conditions,
        lambda inner: st.one_of(
            st.builds(And, st.lists(inner, max_size=3).map(tuple)),
            st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
            st.builds(Not, inner),
        ),
        max_leaves=6,
    )


def documents() -> st.SearchStrategy[Document]:
    """Documents with few ids, so that some replace others."""
    ids = st.sampled_from(["a", "b", "c", "d/e"])
    texts = st.text(st.sampled_from("ab é\n.#-𝄞"), max_size=40)
    return st.builds(Document, ids, texts, st.sampled_from(["", "Title"]), metadata())


def expressions(stages: Sequence[str]) -> st.SearchStrategy[Expression]:
    """Expressions that parsing could give: joins and chains of two or more, no chain right inside a chain.

    They need not be valid pipelines.
    """
    leaves: st.SearchStrategy[Expression] = st.one_of(st.builds(Leaf, st.sampled_from(stages)), st.just(Prior()))
    limits = st.integers(1, 100_000)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(Cut, inner, limits),
            st.builds(Join, st.lists(inner, min_size=2, max_size=3).map(tuple)),
            st.builds(_chain, st.lists(inner, min_size=2, max_size=3)),
        ),
        max_leaves=8,
    )


def _chain(operands: list[Expression]) -> Expression:
    flat = [part for each in operands for part in (each.operands if isinstance(each, Chain) else (each,))]
    return Chain(tuple(flat))
