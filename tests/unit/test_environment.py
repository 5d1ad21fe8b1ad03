"""What `tamis doctor` sees of a machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tamis import environment
from tamis.config import Config
from tamis.diagnosis import Finding, Severity
from tamis.environment import examine


def found(directory: Path, listen: str = "127.0.0.1:0") -> dict[str, Finding]:
    """The findings by rule."""
    config = Config().with_server(data_directory=directory, listen=listen)
    return {each.rule: each for each in examine(config)}


def test_a_directory_that_does_not_exist_yet_is_well_where_it_can_be_made(tmp_path: Path) -> None:
    rules = found(tmp_path / "new" / "deeper")
    assert "data-directory" not in rules
    assert "room" in rules
    assert not (tmp_path / "new").exists()


def test_a_file_in_the_way_of_the_data_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert found(tmp_path / "file" / "data")["data-directory"].severity is Severity.PROBLEM


def test_little_room_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "LEAST_BYTES", 1 << 62)
    assert found(tmp_path)["little-room"].severity is Severity.WARNING


def test_a_server_that_listens_is_seen(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert found(tmp_path, address)["server"].message == f"something listens on {address}"
    assert found(tmp_path, address)["server"].message.startswith("nothing listens")


@pytest.mark.parametrize(("threads", "is_found"), [("1", False), ("100000", True), ("", False)])
def test_more_threads_than_processors_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: str, is_found: bool
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert ("too-many-threads" in found(tmp_path)) is is_found


@pytest.mark.parametrize(
    ("text", "message"),
    [("flags\t: fpu avx512_bf16 sse\n", "native bfloat16, "), ("flags\t: fpu sse\n", "no native bfloat16")],
)
def test_the_processor_tells_whether_it_computes_bfloat16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    (finding,) = (each for each in environment._processor(tmp_path / "cpuinfo") if each.rule == "processor")
    assert message in finding.message
    assert not [each for each in environment._processor(tmp_path / "none") if each.rule == "processor"]
