"""The document log, its followers and their checkpoints."""

from tamis.journal.address import PostgresAddress
from tamis.journal.follower import Follower, FollowerStatus
from tamis.journal.generations import SplitsChanged
from tamis.journal.journal import CATALOG, Journal
from tamis.journal.records import (
    Changes,
    Collection,
    DeadLetter,
    Delete,
    Generation,
    Mutation,
    Patch,
    Portion,
    Recipe,
    RequestKey,
    Rewrite,
    Upsert,
    Written,
)
from tamis.journal.shared_follower import SharedFollower
from tamis.journal.tenures import Tenures

__all__ = [
    "CATALOG",
    "Changes",
    "Collection",
    "DeadLetter",
    "Delete",
    "Follower",
    "FollowerStatus",
    "Generation",
    "Journal",
    "Mutation",
    "Patch",
    "Portion",
    "PostgresAddress",
    "Recipe",
    "RequestKey",
    "Rewrite",
    "SharedFollower",
    "SplitsChanged",
    "Tenures",
    "Upsert",
    "Written",
]
