"""The engine inside Tamis: a process of its own for each collection."""
