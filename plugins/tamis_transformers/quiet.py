"""Keeps off standard error, which is a server's log, what transformers prints there while it loads a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]

_LOGGERS = ("transformers.modeling_utils", "transformers.configuration_utils")


@contextmanager
def quiet() -> Iterator[None]:
    """Leaves out progress bars, the table of weights that are missing or too many, which the caller reports himself,
    and that a model has a type of its own, where only the tokenizer is wanted. All other warnings stay."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for each in loggers:
        each.addFilter(_is_news)
    try:
        with _no_progress_bar():
            yield
    finally:
        for each in loggers:
            each.removeFilter(_is_news)


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    from transformers.utils import logging as transformers_logging

    if not transformers_logging.is_progress_bar_enabled():
        yield
        return
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.enable_progress_bar()


def _is_news(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    if "LOAD REPORT" in said:
        return "MISMATCH" in said or "CONVERSION" in said  # whose details no error has
    return "to instantiate a model of type ``" not in said
