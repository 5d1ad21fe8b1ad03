"""Chunker: from a document to the passages that are ranked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from tamis.component import Component
from tamis.model import Document, Passage

__all__ = ["Chunker"]


class Chunker(Component):
    """Divides documents into passages."""

    @abstractmethod
    def chunk(self, document: Document) -> Sequence[Passage]:
        """The passages of a document, in the order of their starts, together covering all but white space.

        `span.of(document.text) == text` for each; ids are distinct and begin with the document's; neighbours may
        overlap. The same document is always divided the same way, in time linear in its length. One with a title and no
        text becomes one passage with an empty text, so that its title can be found; an empty one becomes none.

        Blocks; safe to call from several threads.
        """
