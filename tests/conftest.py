"""Fixtures of all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog
from postgresql import Cluster, binaries

os.environ.setdefault("TAMIS_CACHE_DIRECTORY", "")  # servers that tests start measure no runtimes
# As the server's own: to colour a traceback with its locals takes a second, in the middle of a test.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f"),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
_SLOW = ("tests/faults/", "tests/cli/", "tests/contract/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few and slow tests come first: where files go out one by one, all workers end at about the same time."""
    items.sort(key=lambda item: not item.nodeid.startswith(_SLOW))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A running PostgreSQL. Without its programs the test is skipped, or fails where they are required."""
    programs = binaries()
    if programs is None:
        missing = "PostgreSQL's programs (initdb, postgres) are not installed"
        if os.environ.get("TAMIS_REQUIRE_POSTGRESQL"):
            pytest.fail(missing)
        pytest.skip(missing)
    cluster = Cluster(programs)
    yield cluster
    cluster.remove()
