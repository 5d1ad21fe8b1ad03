"""The document log, its followers and their checkpoints."""

from tamis.journal.follower import Follower, FollowerStatus
from tamis.journal.journal import Journal
from tamis.journal.records import (
    Changes,
    Collection,
    DeadLetter,
    Delete,
    Mutation,
    Patch,
    RequestKey,
    Rewrite,
    Upsert,
    Written,
)

__all__ = [
    "Changes",
    "Collection",
    "DeadLetter",
    "Delete",
    "Follower",
    "FollowerStatus",
    "Journal",
    "Mutation",
    "Patch",
    "RequestKey",
    "Rewrite",
    "Upsert",
    "Written",
]
