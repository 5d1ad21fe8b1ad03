"""Fixtures of all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from postgresql import Cluster, binaries

os.environ.setdefault("TAMIS_CACHE_DIRECTORY", "")  # servers that tests start measure no runtimes
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
