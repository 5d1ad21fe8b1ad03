"""Builds Tantivy queries from what is asked and from filters, never from a parsed string."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import tantivy

from tamis.filters import Filter
from tamis.terms import AllOf, AnyOf, HasAny, NoneOf, TermCondition, superset
from tamis_tantivy.analysis import pairs
from tamis_tantivy.asked import MOST_QUERY_TERMS, Asked, Phrase

__all__ = ["any_of", "filter_query", "narrowed", "significant", "text_query"]


def narrowed(asked: Asked, searcher: tantivy.Searcher) -> Asked:
    """What is asked for, with the most significant words and pairs alone where there are many."""

    def word_count(word: str) -> int:
        return max(searcher.doc_freq("text", word), searcher.doc_freq("title", word))

    def pair_count(pair: str) -> int:
        return searcher.doc_freq("bigrams", pair)

    words = significant(asked.words, word_count, searcher.num_docs)
    return replace(asked, words=words, pairs=significant(asked.pairs, pair_count, searcher.num_docs))


def text_query(asked: Asked, schema: tantivy.Schema, title_boost: float) -> tantivy.Query | None:
    """Any of the words and pairs, and all of the phrases; None when there is nothing to look for.

    A word or phrase may stand in the text or, `title_boost` times as good, in the title.
    """
    clauses = [(tantivy.Occur.Must, _phrase(each, schema, title_boost)) for each in asked.phrases]
    for word in asked.words:
        clauses.append((tantivy.Occur.Should, _in_text_or_title([(0, word)], schema, title_boost)))
    for pair in asked.pairs:
        clauses.append((tantivy.Occur.Should, tantivy.Query.term_query(schema, "bigrams", pair)))
    for single in asked.singles:
        clauses.append((tantivy.Occur.Should, _beginning(single, schema)))
    return tantivy.Query.boolean_query(clauses) if clauses else None


def significant(terms: Counter[str], document_count: Callable[[str], int], total: int) -> Counter[str]:
    """At most `MOST_QUERY_TERMS` of the terms: those that are frequent in the query and rare in the index.

    What no passage has is left out first. What one passage alone has takes half of the places at most: a text that
    came from the index would otherwise find nothing but itself.
    """
    if len(terms) <= MOST_QUERY_TERMS:
        return terms
    known = {term: count for term in terms if (count := document_count(term))}
    weights = {term: terms[term] * math.log(1 + total / count) for term, count in known.items()}
    ordered = sorted(known, key=lambda term: (-weights[term], term))
    lonely = [term for term in ordered if known[term] == 1][: MOST_QUERY_TERMS // 2]
    shared = [term for term in ordered if known[term] > 1]
    return Counter({term: terms[term] for term in (lonely + shared)[:MOST_QUERY_TERMS]})


def filter_query(words: tantivy.Query, filter: Filter, schema: tantivy.Schema) -> tantivy.Query:
    """`words`, restricted to a superset of what satisfies the filter; the filter adds nothing to the score."""
    condition = tantivy.Query.const_score_query(_condition(superset(filter), schema), 0.0)
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, words), (tantivy.Occur.Must, condition)])


def any_of(queries: Sequence[tantivy.Query]) -> tantivy.Query:
    """What satisfies one of the queries at least."""
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, each) for each in queries])


def _phrase(phrase: Phrase, schema: tantivy.Schema, title_boost: float) -> tantivy.Query:
    parts = [_group(group, schema) for group in phrase.groups]
    if phrase.words:
        parts.append(_in_text_or_title(phrase.words, schema, title_boost))
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, each) for each in parts])


def _in_text_or_title(words: Sequence[tuple[int, str]], schema: tantivy.Schema, boost: float) -> tantivy.Query:
    in_title = tantivy.Query.boost_query(_sequence(words, "title", schema), boost)
    return any_of([in_title, _sequence(words, "text", schema)])


def _group(group: Sequence[str], schema: tantivy.Schema) -> tantivy.Query:
    """Runs that follow each other with no word between; every character has a place."""
    if len(group) == 1 and len(group[0]) == 1:
        return _beginning(group[0], schema)
    placed, start = list[tuple[int, str]](), 0
    for run in group:
        placed += [(start + place, pair) for place, pair in enumerate(pairs(run))]
        start += len(run)
    return _sequence(placed, "bigrams", schema)


def _sequence(words: Sequence[tuple[int, str]], field: str, schema: tantivy.Schema) -> tantivy.Query:
    """Words in their places; Tantivy aborts when asked for a phrase of one."""
    if len(words) == 1:
        return tantivy.Query.term_query(schema, field, words[0][1])
    return tantivy.Query.phrase_query(schema, field, list(words))


def _beginning(character: str, schema: tantivy.Schema) -> tantivy.Query:
    """Every term that begins with a character: it stands at the beginning of a pair or ends a run."""
    return tantivy.Query.fuzzy_term_query(schema, "bigrams", character, 0, prefix=True)


def _condition(condition: TermCondition, schema: tantivy.Schema) -> tantivy.Query:
    match condition:
        case HasAny(terms):
            return tantivy.Query.term_set_query(schema, "terms", list(terms))
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
