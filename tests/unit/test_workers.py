"""Files are read in processes of their own, within limits; whatever is in them, the next one is read."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docx
import pytest

from tamis.ingest.files import Choice, Root, listed
from tamis.ingest.installed import installed_readers
from tamis.ingest.workers import Job, Limits, Workers
from tamis.model import Document
from tamis.reading import Unreadable

READERS = installed_readers()
LIMITS = Limits(seconds=60, memory_bytes=192 << 20, most_bytes=64 << 20)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(LIMITS, 2) as opened:
        yield opened


def _read(workers: Workers, folder: Path) -> dict[str, list[Document | Unreadable]]:
    """What each file of a folder gives, by its name."""
    listing = listed([Root.of(folder)], Choice(READERS.keys()))
    jobs = [Job(each.path, each.name, READERS[each.suffix].target, each.packed_suffix, each) for each in listing.files]
    found = {subject.path.name: list(documents) for subject, documents in workers.read(jobs)}
    assert list(found) == [each.path.name for each in listing.files]
    return found


def _bomb() -> bytes:
    """A Word file of some KB whose body unpacks to 300 MiB."""
    good, made = io.BytesIO(), io.BytesIO()
    docx.Document().save(good)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for each in source.infolist():
            if each.filename != "word/document.xml":
                target.writestr(each, source.read(each))
        with target.open("word/document.xml", "w") as body:
            body.write(source.read("word/document.xml").split(b"<w:body>")[0] + b"<w:body>")
            paragraph = b"<w:p><w:r><w:t>" + b"bomb " * 200_000 + b"</w:t></w:r></w:p>"
            for _ in range(300):
                body.write(paragraph)
            body.write(b"</w:body></w:document>")
    return made.getvalue()


def test_bad_files_give_a_reason_each_and_stop_nothing(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "a-good.txt").write_text("Good.")
    (tmp_path / "b-bomb.docx").write_bytes(_bomb())
    (tmp_path / "c-bomb.txt.gz").write_bytes(gzip.compress(b"bomb" * (20 << 20), 1))
    (tmp_path / "d-cut.txt.gz").write_bytes(gzip.compress(os.urandom(5_000))[:2_000])
    (tmp_path / "e-other.pdf").write_text("<html>")
    (tmp_path / "f-deep.html").write_text("<div>" * 2_000 + "deep")
    (tmp_path / "g-deep.jsonl").write_text("[" * 1_000_000)
    (tmp_path / "h-packed.md.gz").write_bytes(gzip.compress(b"# Title\n\nText.\n"))
    (tmp_path / "i-good.txt").write_text("Good, too.")
    found = _read(workers, tmp_path)
    reasons = {
        name: each[0].reason for name, each in found.items() if len(each) == 1 and isinstance(each[0], Unreadable)
    }
    assert "192 MiB" in reasons["b-bomb.docx"] or "memory" in reasons["b-bomb.docx"]
    assert "unpacks to more than 64 MiB" in reasons["c-bomb.txt.gz"]
    assert "gzip" in reasons["d-cut.txt.gz"]
    assert "PDF" in reasons["e-other.pdf"]
    assert "deep" in reasons["g-deep.jsonl"]
    (packed,) = found["h-packed.md.gz"]
    assert isinstance(packed, Document)
    assert (packed.id, packed.title) == (f"{tmp_path.name}/h-packed.md.gz", "Title")
    assert all(isinstance(found[name][0], Document) for name in ("a-good.txt", "f-deep.html", "i-good.txt"))
    assert all(each.path.parent == tmp_path for name in reasons for each in found[name] if isinstance(each, Unreadable))


def _installed(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> str:
    """A reader of somebody else's that does `body`."""
    (folder / "odd_reader.py").write_text(
        "import os, time\nfrom tamis.reading import Reader\n\n\nclass Odd(Reader):\n    suffixes = ('.odd',)\n\n"
        f"    def read(self, path, name):\n        {body}\n        yield from ()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "odd_reader:Odd"


@pytest.mark.parametrize(
    ("body", "seconds", "reason"),
    [
        ("time.sleep(600)", 1, "takes more than 1 s"),
        ("while True: pass", 1, "takes more than 1 s"),
        ("held = bytearray(1 << 30)", 60, "needs more than 64 MiB"),
        ("os.kill(os.getpid(), 11)", 60, "crashed its reader (SIGSEGV)"),
        ("raise ZeroDivisionError", 60, "its reader failed: ZeroDivisionError"),
        ("os._exit(9)", 60, "its reader failed"),
    ],
    ids=["sleeps", "spins", "eats", "crashes", "raises", "leaves"],
)
def test_a_reader_that_goes_wrong_costs_its_file_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, seconds: float, reason: str
) -> None:
    target = _installed(tmp_path, monkeypatch, body)
    for name in ("a.odd", "b.txt"):
        (tmp_path / name).write_text("Text.")
    with Workers(Limits(seconds, 64 << 20, 1 << 20), 1) as workers:
        bad = Job(tmp_path / "a.odd", "a.odd", target, "", 0)
        good = Job(tmp_path / "b.txt", "b.txt", READERS[".txt"].target, "", 1)
        (_, first), (_, second) = ((number, list(documents)) for number, documents in workers.read([bad, good]))
    assert isinstance(first[0], Unreadable)
    assert reason in first[0].reason
    assert [each.id for each in second if isinstance(each, Document)] == ["b.txt"]


def test_a_reader_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Text.")
    with Workers(LIMITS, 1) as workers:
        ((_, found),) = (
            (subject, list(documents))
            for subject, documents in workers.read([Job(tmp_path / "a.txt", "a", "nope:X", "", 0)])
        )
    assert [str(each).partition(": ")[2] for each in found] == [
        "its reader needs the module 'nope': pip install 'tamis[readers]'"
    ]


def test_closing_ends_what_is_being_read_and_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "pid"
    pipe = tmp_path / "in"
    body = f"open({str(marker)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}'); "
    body += f"os.mkfifo({str(pipe)!r}); open({str(pipe)!r}).read()"
    target = _installed(tmp_path, monkeypatch, body)
    (tmp_path / "a.odd").write_text("Text.")
    workers = Workers(LIMITS, 1)
    future = workers._threads.submit(workers._read_one, Job(tmp_path / "a.odd", "a", target, "", 0))
    while not pipe.exists() and not future.done():
        os.sched_yield()
    folder = workers._folder
    workers.close()
    for pid in marker.read_text().split():
        state = Path(f"/proc/{pid}/stat")
        assert not state.exists() or ") Z " in state.read_text()
    assert not folder.exists()
