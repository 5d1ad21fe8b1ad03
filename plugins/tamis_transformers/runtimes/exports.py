"""Folders of exported networks: made once, found again by what they hold for, made again when they cannot be read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog
import torch

from tamis.errors import ConfigurationError
from tamis_transformers.runtimes.network import Form, Rows, padded

__all__ = ["example", "loaded"]

T = TypeVar("T")
_LOG = structlog.get_logger(__name__)


def loaded(cache: Path | None, name: str, make: Callable[[Path], None], load: Callable[[Path], T]) -> T:
    """What `load` reads from the folder `name` of the cache, which `make` fills where it is not there or cannot be
    read. Without a cache the folder is gone on return. Raises `ConfigurationError`."""
    if cache is None:
        with tempfile.TemporaryDirectory(prefix="tamis-export-") as folder:
            make(Path(folder))
            return load(Path(folder))
    final = cache / name
    if final.exists():
        try:
            return load(final)
        except Exception as error:
            _LOG.warning("an exported model cannot be read and is made again", error=type(error).__name__)
            shutil.rmtree(final, ignore_errors=True)
    _put(cache, final, make)
    return load(final)


def example(form: Form) -> tuple[torch.Tensor, ...]:
    """Two rows of different lengths, for the tracing of a network of this form."""
    rows = [tuple(range(7)), tuple(range(5))]
    segments = [tuple(0 for _ in row) for row in rows] if form.reads_segments else None
    return tuple(torch.from_numpy(each) for each in padded(form, Rows(rows, segments)).arrays)


def _put(cache: Path, final: Path, make: Callable[[Path], None]) -> None:
    """Whole or not at all, whoever else is doing the same."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
    except OSError as error:
        raise ConfigurationError(f"the cache directory {cache} cannot be used: {error.strerror}") from error
    try:
        make(folder)
        if not final.exists():
            folder.rename(final)
    except OSError as error:
        if not final.exists():
            raise ConfigurationError(f"an exported model cannot be kept in {cache}: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
