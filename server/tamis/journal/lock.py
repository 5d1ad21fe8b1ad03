"""One process at a time has a data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tamis.errors import ConfigurationError

__all__ = ["hold"]


def hold(path: Path) -> int:
    """Locks a file, which is made if need be, until the descriptor that is returned is closed or the process ends.

    Raises `ConfigurationError` when another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        message = (
            f"another process uses the data directory {path.parent}; give each server its own data_directory, and "
            "servers that are to share their documents a PostgreSQL database, [journal] url"
        )
        raise ConfigurationError(message, path=str(path)) from None
    except BaseException:
        os.close(lock)
        raise
    return lock
