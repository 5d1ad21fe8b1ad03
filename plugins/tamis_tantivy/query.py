"""Builds Tantivy queries from analysed words and from filters, never from a parsed string."""

from __future__ import annotations

import tantivy

from tamis.filters import Filter
from tamis.terms import AllOf, AnyOf, HasTerm, NoneOf, TermCondition, superset
from tamis_tantivy.analysis import MOST_QUERY_TERMS, bigrams, query_terms

__all__ = ["filter_query", "text_query"]


def text_query(
    text: str, schema: tantivy.Schema, analysis: tantivy.TextAnalyzer, title_boost: float
) -> tantivy.Query | None:
    """Any of the words, in the text or, `title_boost` times as good, in the title; None when there is no word.

    What is written without spaces is looked for by its pairs of characters.
    """
    words = query_terms(text, analysis)
    pairs = list(dict.fromkeys(bigrams(text)))[:MOST_QUERY_TERMS]
    clauses = [(tantivy.Occur.Should, tantivy.Query.term_query(schema, "bigrams", pair)) for pair in pairs]
    for word in words:
        in_title = tantivy.Query.term_query(schema, "title", word)
        clauses.append((tantivy.Occur.Should, tantivy.Query.boost_query(in_title, title_boost)))
        clauses.append((tantivy.Occur.Should, tantivy.Query.term_query(schema, "text", word)))
    return tantivy.Query.boolean_query(clauses) if clauses else None


def filter_query(words: tantivy.Query, filter: Filter, schema: tantivy.Schema) -> tantivy.Query:
    """`words`, restricted to a superset of what satisfies the filter; the filter adds nothing to the score."""
    condition = tantivy.Query.const_score_query(_condition(superset(filter), schema), 0.0)
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, words), (tantivy.Occur.Must, condition)])


def _condition(condition: TermCondition, schema: tantivy.Schema) -> tantivy.Query:
    match condition:
        case HasTerm(term):
            return tantivy.Query.term_query(schema, "terms", term, "basic")
        case AllOf(operands):
            musts = [(tantivy.Occur.Must, _condition(each, schema)) for each in operands]
            return tantivy.Query.boolean_query(musts) if musts else tantivy.Query.all_query()
        case AnyOf(operands):
            shoulds = [(tantivy.Occur.Should, _condition(each, schema)) for each in operands]
            return tantivy.Query.boolean_query(shoulds) if shoulds else tantivy.Query.empty_query()
        case NoneOf(operand):
            # A query of must-nots alone finds nothing in Tantivy.
            everything = (tantivy.Occur.Must, tantivy.Query.all_query())
            return tantivy.Query.boolean_query([everything, (tantivy.Occur.MustNot, _condition(operand, schema))])
