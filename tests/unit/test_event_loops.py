"""Which loops the server runs on."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tamis.errors import ConfigurationError
from tamis.event_loops import maker


def test_without_uvloop_a_server_runs_all_the_same_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert maker("auto") is asyncio.new_event_loop
    with pytest.raises(ConfigurationError, match=r"tamis\[uvloop\]"):
        maker("uvloop")


def test_uvloop_is_taken_where_it_is_installed_unless_it_was_not_asked_for() -> None:
    uvloop = pytest.importorskip("uvloop")
    assert maker("auto") is maker("uvloop") is uvloop.new_event_loop
    assert maker("asyncio") is asyncio.new_event_loop
