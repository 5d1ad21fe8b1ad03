"""What the collections on a Qdrant server are called."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path

__all__ = ["collection_name"]

_LONGEST = 200


def collection_name(prefix: str, collection: str, generation: int, directory: Path) -> str:
    """The name for the index that the server would keep in `directory`.

    That is `…/INCARNATION/STAGE` for the first generation, and for others has one folder more.
    A collection that was deleted and created again has another incarnation, so it never meets the points of before.
    Names that Qdrant would refuse are told by a digest.
    """
    if generation == 1:
        name = "-".join((f"{prefix}{collection}", *directory.parts[-2:]))
    else:
        name = "-".join((f"{prefix}{collection}", *directory.parts[-3:])) + f".{generation}"  # no stage has a dot
    if len(name) <= _LONGEST and re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        return name
    return f"{prefix}{blake2b(name.encode(), digest_size=16).hexdigest()}"
