"""What the collections on a Qdrant server are called."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path

__all__ = ["collection_name"]

_LONGEST = 200


def collection_name(prefix: str, collection: str, directory: Path) -> str:
    """The name for the index that the server would keep in `directory`, which is `…/INCARNATION/STAGE`.

    A collection that was deleted and created again has another incarnation, so it never meets the points of before.
    Names that Qdrant would refuse are told by a digest.
    """
    incarnation, stage = directory.parent.name, directory.name
    name = f"{prefix}{collection}-{incarnation}-{stage}"
    if len(name) <= _LONGEST and re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        return name
    return f"{prefix}{blake2b(name.encode(), digest_size=16).hexdigest()}"
