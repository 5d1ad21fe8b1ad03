"""Processes that fork from one which has imported what they run: what each costs is its work alone."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

__all__ = ["command", "context"]

# Not the libraries of models: what they read from the environment they read where they are imported.
_IMPORTED = [
    "pytest",
    "tamis.cli.app",
    "tamis.rpc.app",
    "tamis_extractive",
    "tamis_qdrant.server.connection",
    "tamis_qdrant.server.index",
    "tamis_tantivy",
    "tamis_transformers.late_interaction.reranker",
    __name__,
]
_TERMINAL = {"COLUMNS": "120", "TERM": "dumb"}


def context() -> Any:
    """Starts processes as `multiprocessing` does."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(_IMPORTED)
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with mock.patch.dict(os.environ, _TERMINAL, PYTHONPATH=paths, OMP_NUM_THREADS="1"):
        multiprocessing.forkserver.ensure_running()
    return made


def command(arguments: Sequence[str], **environment: str) -> CompletedProcess[str]:
    """Runs `tamis` to its end, as from a shell: with descriptors, an environment and an exit code of its own."""
    with TemporaryDirectory() as folder:
        variables = {**os.environ, **_TERMINAL, **environment}
        process = context().Process(target=_main, args=(list(arguments), variables, folder))
        process.start()
        process.join(60)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"tamis {arguments} does not end")
        out, err = [(Path(folder) / name).read_text() for name in ("1", "2")]
        return CompletedProcess(arguments, process.exitcode, out, err)


def _main(arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
    for descriptor in (1, 2):
        os.dup2(os.open(Path(folder) / str(descriptor), os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["tamis", *arguments]

    from tamis.cli.app import main

    main()
