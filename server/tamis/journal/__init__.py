"""The document log, its followers and their checkpoints."""

from tamis.journal.address import PostgresAddress
from tamis.journal.follower import Follower, FollowerStatus
from tamis.journal.generations import SplitsChanged
from tamis.journal.journal import CATALOG, Journal
from tamis.journal.records import Changes, Collection, Delete, Generation, Mutation, Portion, Recipe, Upsert, Written
from tamis.journal.shared_follower import SharedFollower
from tamis.journal.tenures import Tenures

__all__ = [
    "CATALOG",
    "Changes",
    "Collection",
    "Delete",
    "Follower",
    "FollowerStatus",
    "Generation",
    "Journal",
    "Mutation",
    "Portion",
    "PostgresAddress",
    "Recipe",
    "SharedFollower",
    "SplitsChanged",
    "Tenures",
    "Upsert",
    "Written",
]
