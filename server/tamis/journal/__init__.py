"""The document log, its followers and their checkpoints."""

from tamis.journal.follower import Follower, FollowerStatus
from tamis.journal.journal import Journal
from tamis.journal.records import Changes, Collection, Delete, Mutation, Upsert, Written

__all__ = ["Changes", "Collection", "Delete", "Follower", "FollowerStatus", "Journal", "Mutation", "Upsert", "Written"]
