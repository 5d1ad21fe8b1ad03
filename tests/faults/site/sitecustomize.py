"""What every Python process that a server under test starts begins with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if any(each.endswith("worker.py") for each in sys.orig_argv) and os.environ.get("TAMIS_TEST_DEATHS", "[]") != "[]":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from faults.points import install_in_worker

    install_in_worker(os.environ["TAMIS_TEST_DEATHS"])
