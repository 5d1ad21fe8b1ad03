"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgresql import Cluster

from tamis.event_loops import maker
from tamis.journal import PostgresAddress
from tamis.stage_loop import StageLoop


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[StageLoop]:
    """A stage loop of each kind."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    running = StageLoop(maker(request.param))
    running.start()
    yield running
    running.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | PostgresAddress:
    """A journal that is yet to be, in each database."""
    if request.param == "sqlite":
        return tmp_path / "journal.sqlite"
    cluster: Cluster = request.getfixturevalue("postgresql")
    return cluster.journal()
