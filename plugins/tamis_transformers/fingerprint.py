"""What tells vectors of one checkpoint from those of another."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["fingerprint"]


def fingerprint(reading: str, *folders: Path) -> str:
    """Of how texts are read, of all the weights in the folders, and of the first one's tokenizer; not of the paths."""
    digest = hashlib.blake2b(reading.encode(), digest_size=16)
    weights = [file for folder in folders for file in sorted(folder.glob("*.safetensors"))]
    for file in (*weights, folders[0] / "tokenizer.json"):
        if file.exists():
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "blake2b").digest())
    return digest.hexdigest()
