"""Samples the cross-encoder plugin under py-spy, on the pairs and the model of `make bench`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from peers import checkpoint, pairs

__all__: list[str] = []

_RUNNER = Path(__file__).with_name("runners") / "run_tamis_plugin.py"
_QUERIES, _CANDIDATES = 6, 100


def main(work: Path) -> None:
    """Writes `profile.svg`, a flame graph of all threads that compute, native frames among them."""
    model = checkpoint.make(work / "model")
    if not (work / "pairs.jsonl").exists():
        pairs.write(pairs.from_documentation(_QUERIES), work / "pairs.jsonl")
    given = {"model": str(model.resolve()), "pairs": str(work / "pairs.jsonl"), "work": str(work)}
    spy = [str(Path(sys.executable).with_name("py-spy")), "record", "--native", "--rate", "10", "--threads", "--output"]
    runner = [sys.executable, str(_RUNNER), json.dumps(given)]
    command = {"queries": list(range(_QUERIES)), "concurrency": 1, "candidates": _CANDIDATES}
    subprocess.run(
        [*spy, str(work / "profile.svg"), "--", *runner], input=json.dumps(command) + "\n", text=True, check=True
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
