"""What a reader must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tamis.context import Call
from tamis.model import Document, Heading, PageBreak
from tamis.reading import Reader, Unreadable
from tamis.testing.contract.component import ComponentContract

__all__ = ["ReaderContract"]

_CUTS = (0.0, 0.1, 0.5, 0.9, 0.99)


class ReaderContract(ComponentContract):
    """Say in `samples` what good files hold, by their names; each gives at least one document."""

    places = (Reader, Reader.read)

    def component(self) -> Reader:
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    def samples(self) -> Mapping[str, bytes]:
        """Files as the reader expects them."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its reader reads")

    async def use(self, plugin: Reader, call: Call) -> None:
        with TemporaryDirectory() as folder:
            for path in self._written(Path(folder)):
                list(plugin.read(path, path.name))

    def read(self, path: Path) -> Sequence[Document | Unreadable]:
        """What a file gives, checked for what holds of all."""
        found = list(self.plugin.read(path, f"folder/{path.name}"))
        documents = [each for each in found if isinstance(each, Document)]
        for each in documents:
            assert each.id
            assert each.text.strip() or each.title.strip()
            _check_landmarks(each)
        for problem in found:
            assert isinstance(problem, Document) or problem.reason
        return found

    def _written(self, folder: Path) -> list[Path]:
        paths = []
        for name, data in self.samples().items():
            path = folder / name
            path.write_bytes(data)
            paths.append(path)
        return paths

    def test_it_says_what_it_reads(self) -> None:
        kind = type(self.plugin)
        assert kind.suffixes
        assert all(each == each.lower() and each.startswith(".") for each in kind.suffixes)
        assert all(Path(name).suffix in kind.suffixes for name in self.samples())

    def test_a_good_file_gives_documents_and_nothing_else_the_same_each_time(self, tmp_path: Path) -> None:
        for path in self._written(tmp_path):
            found = self.read(path)
            assert found
            assert all(isinstance(each, Document) for each in found), found
            assert self.read(path) == found

    @pytest.mark.parametrize("share", _CUTS)
    def test_a_file_that_was_cut_off_raises_nothing(self, tmp_path: Path, share: float) -> None:
        for path in self._written(tmp_path):
            data = path.read_bytes()
            path.write_bytes(data[: int(len(data) * share)])
            self.read(path)

    @pytest.mark.parametrize(
        "data", [b"", b"\0" * 100, bytes(range(256)) * 20, b"\xff\xfe", b"<" * 5_000, b"PK\x03\x04", b"%PDF-1.7\n"]
    )
    def test_a_file_that_is_something_else_raises_nothing(self, tmp_path: Path, data: bytes) -> None:
        for suffix in type(self.plugin).suffixes:
            path = tmp_path / f"other{suffix}"
            path.write_bytes(data)
            self.read(path)

    def test_a_file_that_is_not_there_is_an_error_of_the_system_or_unreadable(self, tmp_path: Path) -> None:
        path = tmp_path / f"nothing{type(self.plugin).suffixes[0]}"
        try:
            found = self.read(path)
        except OSError:
            return
        assert all(isinstance(each, Unreadable) for each in found)


def _check_landmarks(document: Document) -> None:
    data, before = document.text.encode(), 0
    for each in document.landmarks:
        assert before <= each.start <= len(data)
        assert each.start == len(data) or data[each.start] & 0xC0 != 0x80
        before = each.start
        if isinstance(each, Heading):
            assert each.text.strip()
            assert 1 <= each.level <= 9
            assert len(each.text.encode()) <= 1_024
        else:
            assert isinstance(each, PageBreak)
            assert each.page >= 1
