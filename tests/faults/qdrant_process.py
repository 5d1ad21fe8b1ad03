"""The Qdrant server of tests in a process that outlives every server that is killed; it ends with its input."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from qdrant_wire import QdrantWire

print(QdrantWire().start().url, flush=True)
sys.stdin.read()
