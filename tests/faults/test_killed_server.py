"""The server is killed while it writes and indexes; what it acknowledged is in every index, once."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from faults.servers import Folder, qdrant_server
from faults.writers import Writers


def _killed_again_and_again(folder: Folder, rounds: int, seed: int, *, told: bool = False) -> None:
    """One data folder for all rounds, so that whatever a kill breaks stays broken."""
    random, writers, started = Random(seed), Writers(3, seed), time.monotonic()
    for turn in range(rounds + 1):
        try:
            with folder.running() as server:
                if turn == 0:
                    server.create()
                server.settle()
                writers.settle(folder.documents())
                known = Counter(passage for passage, _ in folder.passages()["docs"])
                for stage in ("bm25", "dense", "remote"):
                    assert server.found(stage, "sauce") == known
                assert "index differed from the journal" not in folder.log()  # nor was it mended in silence
                if turn == rounds:
                    return
                writers.start(server.address)
                writers.wait(random.randint(1, 40))
                time.sleep(random.uniform(0, 0.02))  # anywhere between two acknowledgements
                server.kill()
                writers.join()
        except BaseException:
            print(f"seed {seed}, round {turn}\n{folder.log()[-5_000:]}")
            raise
        if told:
            documents = len(folder.documents())
            print(f"round {turn + 1}/{rounds}: {documents} documents, {time.monotonic() - started:.0f} s", flush=True)


def test_a_server_killed_again_and_again_while_it_ingests_loses_nothing(tmp_path: Path) -> None:
    with qdrant_server() as url:
        _killed_again_and_again(Folder(tmp_path, qdrant=url), rounds=3, seed=1)


@pytest.mark.long
@pytest.mark.timeout(7_200)
def test_a_server_killed_two_hundred_times_while_it_ingests_loses_nothing(tmp_path: Path) -> None:
    with qdrant_server() as url:
        _killed_again_and_again(Folder(tmp_path, qdrant=url), rounds=200, seed=20_260, told=True)
