"""The reasons of errors that clients name are those that a server gives."""

from __future__ import annotations

import re

from tests.clients.conftest import CLIENTS

TABLE = (CLIENTS.parent / "docs/quickstart.md").read_text().partition("## Errors")[2].partition("\n## ")[0]
REASONS = re.findall(r"^\| `([A-Z_]+)` \|", TABLE, re.MULTILINE)


def test_the_go_client_names_every_reason() -> None:
    assert re.findall(r"^\tReason\w+ += \"(\w+)\"$", (CLIENTS / "go/errors.go").read_text(), re.MULTILINE) == REASONS


def test_the_java_client_names_every_reason() -> None:
    source = (CLIENTS / "java/src/main/java/tamis/client/Reason.java").read_text()
    named = dict(re.findall(r"public static final String (\w+) = \"(\w+)\";", source))
    assert list(named) == list(named.values()) == REASONS != []
