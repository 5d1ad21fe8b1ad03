"""A server started by the command, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import forked
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

CONFIG = """
[stages.bm25]
plugin = "tantivy"

[stages.answer]
plugin = "extractive"

[pipelines.default]
expression = "bm25 % 50 >> answer"
"""


@pytest.fixture(scope="session")
def tamis() -> Run:
    """Runs the command to its end."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return forked.command(list(map(str, arguments)), **environment)

    return run


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration that starts at once: words alone."""
    path = tmp_path_factory.mktemp("config") / "tamis.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="session")
def address(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server listens."""
    data = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-m", "tamis.cli.app", "serve", "--config", config, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--data-directory", data], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on ")
        yield line.removeprefix("listening on ").strip()
        process.terminate()
        assert process.wait(60) == 0
