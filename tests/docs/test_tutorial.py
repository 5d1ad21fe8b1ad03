"""The tutorial for plugins, followed to the letter: its files are written, its commands run, its output is compared."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from transcripts import BLOCK, commands, compare

pytestmark = pytest.mark.long

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
TUTORIAL = PAGE.partition("## Write a plugin in ten minutes")[2].partition("\n## ")[0]


class Shell:
    """What somebody types, in an empty folder. Nothing is fetched: what Tamis needs is installed already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = _environment(folder)
        self._servers: list[subprocess.Popen[str]] = []

    def run(self, command: str, expected: list[str]) -> None:
        """Runs one line to its end, or to its first line of output if it ends with `&`, and compares what it prints."""
        if command.endswith("&"):
            self._start(command.removesuffix("&"), expected)
            return
        ran = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
        compare(command, expected, ran.stdout)

    def _start(self, command: str, expected: list[str]) -> None:
        # The port and the folder of a user are none that a test may take.
        command = f"exec {command} --listen 127.0.0.1:0 --data-directory data --log-format json 2>log"
        process = subprocess.Popen(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        self._servers.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        compare(command, expected, line)
        self.environment["TAMIS_ADDRESS"] = line.split()[-1]

    @contextmanager
    def open(self) -> Iterator[Shell]:
        try:
            yield self
        finally:
            for each in self._servers:
                each.terminate()
                each.communicate(timeout=30)


def _environment(folder: Path) -> dict[str, str]:
    """A virtual environment over this one, as it is after the first step of the tutorial."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / ".venv")], check=True)
    python = folder / ".venv" / "bin" / "python"
    site = folder / ".venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "over.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    for name, module in (("tamis", "tamis.cli.app"), ("pip", "pip")):
        script = folder / ".venv" / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {python} -m {module} "$@"\n')
        script.chmod(0o755)
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    return {**os.environ, **offline, "PATH": path, "COLUMNS": "120", "TERM": "dumb", "NO_COLOR": "1"}


@pytest.mark.timeout(600)
def test_the_tutorial_leads_from_nothing_to_a_search_that_uses_the_plugin(tmp_path: Path) -> None:
    (_, installing), *steps = BLOCK.findall(TUTORIAL)
    assert "pip install" in installing  # what the environment below stands for
    with Shell(tmp_path).open() as shell:
        for language, text in steps:
            if language == "console":
                for command, expected in commands(text):
                    shell.run(command, expected)
            else:
                comment, _, content = text.partition("\n")
                (tmp_path / comment.removeprefix("# ")).write_text(content)
    shutil.rmtree(tmp_path / ".venv")
