"""The record of a batch: torn, shared, foreign, begun anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.cli.batch_record import NotARecord, Record


def _opened(path: Path, run: Path | None = None, *, restart: bool = False, retry_failed: bool = False) -> Record:
    return Record(path, run).open(restart=restart, retry_failed=retry_failed)


def _fill(path: Path, run: Path | None, count: int) -> None:
    record = _opened(path, run)
    for number in range(count):
        record.add({"id": str(number), "hits": []}, f"{number} Q0 ä 1 1.0 tag\n" * number)
    record.close()


@settings(max_examples=60)
@given(data=st.data(), count=st.integers(0, 5))
@pytest.mark.parametrize("is_run", [False, True])
def test_wherever_a_kill_tears_it_every_id_is_there_once_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, is_run: bool, data: st.DataObject, count: int
) -> None:
    folder = tmp_path_factory.mktemp("record")
    path, run = folder / "record", folder / "run" if is_run else None
    _fill(path, run, count)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    if run is not None and not path.read_bytes():
        run.write_bytes(b"")
    record = _opened(path, run)
    assert record.done_count == path.read_bytes().count(b"\n")
    for number in range(count):
        if str(number) not in record:
            record.add({"id": str(number), "hits": []}, f"{number} Q0 ä 1 1.0 tag\n" * number)
    record.close()
    assert path.read_bytes() == whole
    if run is not None:
        assert run.read_text() == "".join(f"{number} Q0 ä 1 1.0 tag\n" * number for number in range(count))


def test_two_runs_do_not_write_to_one_file(tmp_path: Path) -> None:
    first = _opened(tmp_path / "record")
    with pytest.raises(NotARecord, match="another run"):
        _opened(tmp_path / "record")
    first.close()
    _opened(tmp_path / "record").close()


def test_it_begins_anew_when_told_to(tmp_path: Path) -> None:
    path, run = tmp_path / "record", tmp_path / "run"
    _fill(path, run, 3)
    _opened(path, run, restart=True).close()
    assert (path.read_bytes(), run.read_bytes()) == (b"", b"")


def test_failures_are_forgotten_when_told_to(tmp_path: Path) -> None:
    path = tmp_path / "record"
    record = _opened(path)
    record.add({"id": "good", "hits": []})
    record.add({"id": "bad", "error": {}})
    assert (record.done_count, record.failed_count) == (2, 1)
    record.close()
    record = _opened(path, retry_failed=True)
    assert ("good" in record, "bad" in record, record.done_count, record.failed_count) == (True, False, 1, 0)
    record.add({"id": "bad", "hits": []})
    record.close()
    assert path.read_text().count("\n") == 2
    assert [each.name for each in tmp_path.iterdir()] == ["record"]


@pytest.mark.parametrize("text", ['{"id": "a", "text": "b"}\n', "prose\n", "[1]\n", '{"hits": []}\n', "\n"])
def test_a_file_of_somebody_else_is_refused_and_not_touched(tmp_path: Path, text: str) -> None:
    path = tmp_path / "precious"
    path.write_text(text)
    with pytest.raises(NotARecord, match="line 1"):
        _opened(path)
    assert path.read_text() == text


def test_a_run_that_nothing_tells_of_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.write_text("1 Q0 a 1 1.0 mine\n")
    with pytest.raises(NotARecord, match="was not begun"):
        _opened(tmp_path / "record", run)
    assert run.read_text()
