"""`tamis index` waits for whatever was written, by whichever run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import forked
from real_server import Servers, fakes
from structlog.testing import capture_logs

from tamis.testing.plugins import trace


async def test_a_run_that_has_nothing_to_write_waits_for_what_an_earlier_one_wrote(
    servers: Servers, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("A smooth sauce.")
    async with servers.start(fakes("words", words='behaviour = "cannot_index"')) as client:
        command = ["index", str(tmp_path / "notes"), "--address", client.address]
        first = await asyncio.to_thread(forked.command, [*command, "--no-wait"])
        assert first.returncode == 0, first.stderr
        with capture_logs() as logs:
            second = asyncio.create_task(asyncio.to_thread(forked.command, command))
            await asyncio.to_thread(_until_it_asks, logs, second)
            assert not second.done()
            trace.gate.set()
            assert (await second).returncode == 0
        assert [each.passage.document_id for each in (await client.search("sauce")).hits] == ["notes/a.txt"]


def _until_it_asks(logs: Sequence[Any], run: asyncio.Task[Any]) -> None:
    while not run.done() and not any("GetCollection" in str(each) for each in logs):
        os.sched_yield()
