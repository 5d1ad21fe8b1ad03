"""What a caller asks for, before any document has been looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tamis.component import Component
from tamis.context import Companions, Principal
from tamis.deadline import Deadline
from tamis.errors import InvalidRequest
from tamis.events import IndexProgress
from tamis.facets import FacetSpec
from tamis.journal import Generation
from tamis.model import Document, Query
from tamis.overrides import Override, checked
from tamis.pipeline import Pipeline
from tamis.presentation import Presentation
from tamis.stage_run import Request

__all__ = ["MOST_LIKE", "Search"]

MOST_LIKE = 2_000
"""Characters that stand for the documents to find others like: about what encoders read."""


@dataclass(frozen=True, slots=True)
class Search:
    """A query, the pipeline to run it through, and how the hits are wanted.

    With `like_document_ids` documents like these are looked for, and not they themselves; the query may then be empty.
    Every index that is read has applied `min_sequence`. `mends_spelling` says whether a better spelling may be told.
    """

    pipeline: Pipeline
    query: Query
    presentation: Presentation = field(default_factory=Presentation)
    facet_specs: tuple[FacetSpec, ...] = ()
    overrides: tuple[Override, ...] = ()
    like_document_ids: tuple[str, ...] = ()
    min_sequence: int = 0
    principal: Principal = Principal()
    mends_spelling: bool = True
    split: int = 1

    def on(self, generation: Generation, components: Mapping[str, Component]) -> Search:
        """The same, bound to one generation of its collection: whatever serves later, this one answers it."""
        pipeline, is_of_it = self.pipeline.over(components), self.query.generation == generation.number
        if pipeline is self.pipeline and is_of_it and self.split == generation.split:
            return self
        query = self.query if is_of_it else replace(self.query, generation=generation.number)
        return replace(self, pipeline=pipeline, query=query, split=generation.split)

    def request(
        self,
        deadline: Deadline,
        request_id: str = "",
        like: Sequence[Document] = (),
        index_progress: tuple[IndexProgress, ...] = (),
    ) -> Request:
        """The same as stages see it, `like` being the documents named or their beginnings.

        Raises `InvalidRequest` for a wrong override.
        """
        return Request(
            self._query(like) if like else self.query,
            deadline,
            self.presentation,
            checked(self.pipeline, self.overrides),
            self.facet_specs,
            self.query.text,
            request_id,
            self.principal,
            Companions(self.pipeline.components[name] for name in self.pipeline.retrievers),
            index_progress=index_progress,
            mends_spelling=self.mends_spelling,
            split=self.split,
        )

    def _query(self, like: Sequence[Document]) -> Query:
        share = MOST_LIKE // len(like)
        texts = [f"{each.title}\n{each.text}"[:share].replace('"', " ") for each in like]  # no phrases of ours
        text = "\n".join([self.query.text, *texts] if self.query.text.strip() else texts)
        if not text.strip():
            raise InvalidRequest.of("like_document_ids", "these documents have no text to compare by")
        return replace(self.query, text=text, excluded_document_ids=frozenset(self.like_document_ids))
