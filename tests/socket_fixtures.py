"""Fixtures of the tests that go across the socket: the fakes are installed, and servers start."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_plugins import write_distribution
from real_server import Servers

from tamis.testing.plugins import trace


@pytest.fixture(scope="session", autouse=True)
def fakes_are_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("distribution")
    write_distribution(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        importlib.invalidate_caches()
        yield


@pytest.fixture(autouse=True)
def the_trace_is_fresh() -> Iterator[None]:
    trace.reset()
    yield
    trace.reset()


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    return Servers(tmp_path / "data")
