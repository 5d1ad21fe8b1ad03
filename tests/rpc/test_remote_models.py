"""Real models in another process, started as from a shell, find and rank what they find and rank here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_server import Servers

from tamis.v1 import passage_pb2

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

_LATE = """
[models.minilm]
plugin = "sentence-transformers"
[stages.late]
plugin = "late-interaction"
embedder = "minilm"
"""
_REMOTE = """
[models.minilm]
plugin = "remote-embedder"
component = "minilm"
addresses = ["{0}"]
[stages.late]
plugin = "remote-reranker"
component = "late"
addresses = ["{0}"]
"""
_REST = """
[stages.dense]
plugin = "qdrant"
embedder = "minilm"
[pipelines.default]
expression = "dense % 50 >> late"
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("host")
    (folder / "tamis.toml").write_text(_LATE)
    command = [sys.executable, "-m", "tamis.cli.app", "plugin", "serve", "--listen", "127.0.0.1:0"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.readline()
    assert line.startswith("listening on "), (folder / "log").read_text()
    yield line.removeprefix("listening on ").strip()
    process.terminate()
    assert process.wait(60) == 0


async def test_models_elsewhere_find_and_rank_as_those_here(address: str, tmp_path: Path) -> None:
    found = []
    for name, models in (("here", _LATE), ("there", _REMOTE.format(address))):
        async with Servers(tmp_path / name).start(models + _REST) as client:
            await client.fill()
            hits = (await client.search("what makes food velvety?")).hits
            found.append([(each.passage.document_id, each.score) for each in hits])
            assert {each.score_kind for each in hits} == {passage_pb2.SCORE_KIND_MAX_SIM}
    here, there = found
    assert [id for id, _ in here] == [id for id, _ in there]
    assert [score for _, score in there] == pytest.approx([score for _, score in here], abs=1e-3)
