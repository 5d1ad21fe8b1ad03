"""What tells vectors of one checkpoint from those of another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["digest", "fingerprint"]


def fingerprint(reading: str, *folders: Path) -> str:
    """Of how texts are read, of all the weights in the folders, and of the first one's tokenizer; not of the paths."""
    weights = [file for folder in folders for file in sorted(folder.glob("*.safetensors"))]
    return digest((file for file in (*weights, folders[0] / "tokenizer.json") if file.exists()), reading)


def digest(files: Iterable[Path], said: str = "") -> str:
    """Of a text and of what stands in files, in their order. Reads them all."""
    found = hashlib.blake2b(said.encode(), digest_size=16)
    for file in files:
        with file.open("rb") as opened:
            found.update(hashlib.file_digest(opened, "blake2b").digest())
    return found.hexdigest()
