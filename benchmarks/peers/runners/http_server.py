"""A peer's server as a process on this machine, asked over HTTP with connections that stay open."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["Server"]


class Server:
    """Started at once; `wait` until it answers."""

    def __init__(self, command: Sequence[str], work: Path) -> None:
        """`{port}` in the command is replaced by a free one."""
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = found.getsockname()[1]
        self._log = work / "server.log"
        with self._log.open("w") as log:
            filled = [each.format(port=self._port) for each in command]
            self._process = subprocess.Popen(filled, stdout=log, stderr=log, start_new_session=True)
        self._own = threading.local()

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def wait(self, path: str, seconds: float = 120.0) -> None:
        """Returns once GET answers with 200. Raises `RuntimeError` when the server ends first or takes too long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        self.close()
        raise RuntimeError(f"the server does not start: {self._last_words()}")

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer's JSON. Raises `RuntimeError` for any other status than 200."""
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
        connection = self._own.connection
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"status {response.status}: {answer[:200].decode('utf-8', 'replace')}")
        return json.loads(answer)

    def close(self) -> None:
        """Ends the server, and waits for it."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def _last_words(self) -> str:
        lines = [each.strip() for each in self._log.read_text(errors="replace").splitlines() if each.strip()]
        errors = [each for each in lines if "Error" in each]
        return (errors or lines or ["it says nothing"])[-1][-250:]
