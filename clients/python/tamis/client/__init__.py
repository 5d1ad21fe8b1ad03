"""A thin wrapper around the generated stubs: a channel with sane settings, batched writes, typed errors."""

from tamis.client.client import Client
from tamis.client.errors import CallError, FieldViolation
from tamis.client.spans import text_of

__all__ = ["CallError", "Client", "FieldViolation", "text_of"]
