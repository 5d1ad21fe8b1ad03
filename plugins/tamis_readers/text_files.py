"""The reader of plain text, and what readers of other text files begin with."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from tamis.model import Document
from tamis.reading import Reader, Unreadable
from tamis_readers.decoding import MOST_BYTES, NotText, decoded

__all__ = ["TextFileReader", "TextReader"]


class TextFileReader(Reader):
    """A reader of files whose text is one document."""

    is_html = False

    def read(self, path: Path, name: str) -> Iterator[Document | Unreadable]:
        if path.stat().st_size > 2 * MOST_BYTES:
            yield Unreadable(path, f"is larger than {MOST_BYTES >> 20} MiB of text")
            return
        try:
            text = decoded(path.read_bytes(), is_html=self.is_html)
        except NotText as error:
            yield Unreadable(path, str(error))
            return
        found = self.document(text, path.stem, name)
        if found.text.strip():
            yield found
        else:
            yield Unreadable(path, "is empty" if not text.strip() else "holds no text")

    @abstractmethod
    def document(self, text: str, stem: str, name: str) -> Document:
        """The document `name`; `stem`, the file's name, is its title if it has none."""


class TextReader(TextFileReader):
    """Plain text, as it is. Its name is its title; headings are recognised where passages are made."""

    suffixes = (".txt", ".text")
    format = "text"

    def document(self, text: str, stem: str, name: str) -> Document:
        return Document(name, text, stem)
