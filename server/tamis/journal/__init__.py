"""The document log, its followers and their checkpoints."""

from tamis.journal.follower import Follower, FollowerStatus
from tamis.journal.generations import SplitsChanged
from tamis.journal.journal import Journal
from tamis.journal.records import Changes, Collection, Delete, Generation, Mutation, Portion, Recipe, Upsert, Written

__all__ = [
    "Changes",
    "Collection",
    "Delete",
    "Follower",
    "FollowerStatus",
    "Generation",
    "Journal",
    "Mutation",
    "Portion",
    "Recipe",
    "SplitsChanged",
    "Upsert",
    "Written",
]
