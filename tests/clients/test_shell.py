"""The page for those who have nothing but a shell, run as it stands there."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from transcripts import BLOCK, commands, compare

pytestmark = pytest.mark.clients

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "shell.md").read_text()


class Bash:
    """A shell that lives from one command to the next, as that of somebody who types."""

    def __init__(self) -> None:
        path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
        self._process = subprocess.Popen(
            ["bash", "--norc", "-O", "expand_aliases"],
            cwd=ROOT,
            env={**os.environ, "PATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str) -> str:
        """What it prints, to its end."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{command}\necho; echo this is the end: $?\n")
        process.stdin.flush()
        printed: list[str] = []
        while not (line := process.stdout.readline()).startswith("this is the end"):
            assert line, f"{command}\n{''.join(printed)}"
            printed.append(line)
        assert line.split()[-1] == "0", f"{command}\n{''.join(printed)}"
        return "".join(printed)

    def close(self) -> None:
        self._process.communicate(timeout=30)


def test_every_line_of_the_page_does_what_it_says(address: str) -> None:
    blocks = [text for language, text in BLOCK.findall(PAGE) if language == "console"]
    typed = [each for block in blocks for each in commands(block)]
    assert sum("rpc " in command for command, _ in typed) > 10
    bash = Bash()
    try:
        for command, expected in typed:
            compare(command, expected, bash.run(command.replace("127.0.0.1:7601", address)))
    finally:
        bash.close()
