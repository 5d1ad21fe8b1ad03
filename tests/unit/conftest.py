"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tamis.stage_loop import StageLoop


@pytest.fixture
def loop() -> Iterator[StageLoop]:
    running = StageLoop()
    running.start()
    yield running
    running.close()
