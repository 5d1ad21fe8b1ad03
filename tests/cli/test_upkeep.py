"""`tamis verify`, `tamis compact` and `tamis backup`, as people type them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_collection_is_verified_compacted_and_told_about(tamis: Run, address: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Sauce\n\nA smooth sauce.\n")
    assert tamis("index", tmp_path, "-C", "kept", TAMIS_ADDRESS=address).returncode == 0
    verified = tamis("verify", "kept", TAMIS_ADDRESS=address)
    assert verified.returncode == 0, verified.stderr
    head, *rows = verified.stdout.splitlines()
    assert head.split() == ["collection", "index", "generation", "sequence", "passages", "missing", "extra"]
    assert [row.split()[-1] for row in rows] == ["ok", "ok"]
    assert tamis("verify", "kept", "--repair", TAMIS_ADDRESS=address).stdout.split()[7] == "repaired"
    told = json.loads(tamis("verify", "kept", "--json", TAMIS_ADDRESS=address).stdout)
    assert [(each["stage"], each["missing_count"]) for each in told] == [("", "0"), ("bm25", "0")]
    compacted = tamis("compact", "kept", "--json", TAMIS_ADDRESS=address)
    assert json.loads(compacted.stdout)["compacted_stages"] == ["bm25"]


def test_a_folder_without_a_journal_cannot_be_backed_up(tamis: Run, tmp_path: Path) -> None:
    refused = tamis("backup", tmp_path / "out", "--data-directory", tmp_path)
    assert refused.returncode == 5
    assert "no journal named" in refused.stderr
    assert list(tmp_path.iterdir()) == []
