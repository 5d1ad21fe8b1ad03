"""A real server for the clients in other languages, and toolchains that may be missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tamis.client import Client

CLIENTS = Path(__file__).parents[2] / "clients"
_REQUIRED = "TAMIS_REQUIRE_CLIENTS"  # a missing toolchain is a failure then


class Run(Protocol):
    """Runs a command in a folder of `clients/`; its output, or a failed test with that output."""

    def __call__(self, client: str, *command: str | Path, **environment: str) -> str: ...


class Toolchain(Protocol):
    """Skips the test when one of these programs or files is missing, and says which."""

    def __call__(self, *needs: str | Path) -> None: ...


@pytest.fixture(scope="session", autouse=True)
def _server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[str] | None]:
    """Starts a real server with the built-in configuration if a test will use it; the others do not wait for it."""
    if not any("address" in getattr(each, "fixturenames", ()) for each in request.session.items):
        yield None
        return
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "tamis.cli.app", "serve", "--preset", "default", "--listen", "127.0.0.1:0"]
    options = ["--data-directory", folder / "data"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        yield process
        process.terminate()
        assert process.wait(60) == 0, (folder / "log").read_text()


@pytest.fixture(scope="session")
def _listening(_server: subprocess.Popen[str]) -> str:
    assert _server.stdout is not None
    line = _server.stdout.readline()
    assert line.startswith("listening on "), line
    return line.removeprefix("listening on ").strip()


@pytest.fixture
def address(_listening: str) -> Iterator[str]:
    """Where a real server listens, without any collection."""
    yield _listening
    with Client(_listening) as client:
        for each in list(client.collections()):
            client.delete_collection(each.id)


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    def need(*needs: str | Path) -> None:
        missing = [str(each) for each in needs if shutil.which(each) is None and not Path(each).exists()]
        if missing:
            message = f"not installed: {', '.join(missing)}"
            if os.environ.get(_REQUIRED):
                pytest.fail(message)
            pytest.skip(message)

    return need


@pytest.fixture(scope="session")
def run() -> Run:
    def run(client: str, *command: str | Path, **environment: str) -> str:
        done = subprocess.run(
            list(map(str, command)),
            cwd=CLIENTS / client,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-8_000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def compiled_typescript(toolchain: Toolchain, run: Run) -> Path:
    """Where the TypeScript client's tests and examples lie, compiled, with what they need installed."""
    toolchain("node", "npm")
    client = CLIENTS / "typescript"
    locked, installed = client / "package-lock.json", client / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        run("typescript", "npm", "ci", "--silent", "--no-audit", "--no-fund", "--prefer-offline")
    run("typescript", "npm", "run", "--silent", "build")
    run("typescript", "node_modules/.bin/tsc", "-p", "tsconfig.json")
    return client / "build"


def check_example(output: str, units: str) -> None:
    """What the examples in Go and Java print; `units` is where the citation lies in the language's own."""
    lines = output.splitlines()
    assert lines[0] == "documents: 3 written, 0 unchanged"
    assert re.search(r"^  revision 1, by \S+: leave, travel$", output, re.MULTILINE)
    assert re.search(r"^late +ran, 2 of 2$", output, re.MULTILINE)
    assert re.search(r"^completed: revision \d stands; answered$", output, re.MULTILINE)
    assert "leave, of 2024: Parental leave 👶🏽 is twelve weeks, paid in full." in output
    assert f'  bytes 0 to 54, {units}: from leave, "Parental leave 👶🏽 is twelve weeks, paid in full."' in lines
    assert lines[-1] == 'there is no collection "nowhere"; its reason is NOT_FOUND'
    assert "2009" not in output  # the filter
