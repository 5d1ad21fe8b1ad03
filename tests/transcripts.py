"""What the documentation shows somebody to type, and what it says comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["BLOCK", "commands", "compare"]

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A block of a page: its language and its text."""


def commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that follow it. A command goes on to the end of a string in
    single quotes."""
    for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *expected = each.splitlines()
        while command.count("'") % 2:
            command = f"{command}\n{expected.pop(0)}"
        yield command, expected


def compare(command: str, expected: list[str], output: str) -> None:
    """Asserts that the expected lines come in this order, whatever the numbers, spaces, and lines between them."""
    words = " ".join(output.split())
    for line in expected:
        pattern = re.sub(r"(?:\d[\d.,:]*)", r"[\\d.,:]+", re.escape(" ".join(line.split())))
        found = re.search(pattern.replace(r"\ ", " "), words)
        assert found, f"$ {command}\nexpected: {line}\nprinted: {output}"
        words = words[found.end() :]
