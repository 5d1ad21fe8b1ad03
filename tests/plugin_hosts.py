"""`tamis plugin serve` in processes of their own, that may be killed and started again where they were."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import forked
import grpc
from fake_plugins import write_distribution
from held_port import HeldPort

from tamis.v1 import plugin_service_pb2_grpc

__all__ = ["Certificates", "PluginProcess", "certificates", "foreign", "hosting"]

_PATIENCE = 60.0


class PluginProcess:
    """One process at a time, on the same port from one to the next."""

    def __init__(self, folder: Path, config: str) -> None:
        """`config` is its file, without `[plugin_server]`'s address and folder."""
        self.folder, self._port = folder, HeldPort()
        self.address = self._port.address
        self.log = folder / "log"
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "site").exists():
            write_distribution(folder / "site")
        self.configure(config)
        self._process: Any = None

    def configure(self, config: str) -> None:
        """What the next process reads."""
        (self.folder / "tamis.toml").write_text(config)

    def start(self) -> str:
        """The address at which it takes calls. Raises `EOFError` when it ends before."""
        context = forked.context()
        ours, theirs = context.Pipe(duplex=False)
        data = str(self.folder / "data")
        arguments = ["plugin", "serve", "--config", str(self.folder / "tamis.toml"), "--listen", self.address]
        arguments += ["--data-directory", data, "--cache-directory", "", "--log-format", "json"]
        self._process = context.Process(target=_main, args=(arguments, self.folder, theirs))
        self._process.start()
        theirs.close()
        with ours, os.fdopen(os.dup(ours.fileno())) as said:
            line = said.readline()
        if line.strip() != f"listening on {self.address}":
            raise EOFError(self.log.read_text())
        return self.address

    def kill(self) -> None:
        """As `kill -9` does; on return it is gone."""
        self._process.kill()
        self._process.join(_PATIENCE)

    def stop(self) -> int:
        """As SIGTERM does; its exit code."""
        self._process.terminate()
        self._process.join(_PATIENCE)
        return int(self._process.exitcode)

    def lose_data(self) -> None:
        """What it keeps is gone, as with a disk."""
        shutil.rmtree(self.folder / "data")

    def calls(self, method: str, request: str = "") -> list[str]:
        """The status codes of the calls of a method that it has served, or else of one request's."""
        lines = [
            line for line in self.log.read_text().splitlines() if f"/{method}" in line and '"event": "call"' in line
        ]
        return [line.partition('"code": "')[2].partition('"')[0] for line in lines]

    def close(self) -> None:
        """Idempotent."""
        if self._process is not None and self._process.is_alive():
            self.kill()


@contextmanager
def hosting(folder: Path, config: str) -> Iterator[PluginProcess]:
    """A process that serves."""
    process = PluginProcess(folder, config)
    try:
        process.start()
        yield process
    finally:
        process.close()


class Certificates:
    """A certificate that is its own authority, and its key."""

    def __init__(self, folder: Path, name: str) -> None:
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
        files = ["-keyout", str(self.key), "-out", str(self.certificate)]
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        subprocess.run([*new, "-days", "2", *subject, *files], check=True, capture_output=True)


def certificates(folder: Path, *names: str) -> list[Certificates]:
    """One for each name."""
    return [Certificates(folder, name) for name in names]


def _main(arguments: list[str], folder: Path, said: Any) -> None:
    os.dup2(said.fileno(), 1)
    os.dup2(os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.path.insert(0, str(folder / "site"))
    sys.argv = ["tamis", *arguments]

    from tamis.cli.app import main

    main()


@asynccontextmanager
async def foreign(servicer: Any) -> AsyncIterator[str]:
    """Where a plugin service listens that is none of ours, in this process."""
    server = grpc.aio.server()
    plugin_service_pb2_grpc.add_PluginServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)
