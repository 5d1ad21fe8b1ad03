"""A pytest plugin that runs of each broken plugin the one test that has to reject it, and tells what became of all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import hypothesis
import pytest

from tamis.testing.contract import observing

observing._PATIENCE = 0.1
# Whether anything is found is all that counts here, not how small it is.
hypothesis.settings.register_profile(
    "broken", max_examples=5, phases=[hypothesis.Phase.generate], database=None, report_multiple_bugs=False
)
hypothesis.settings.load_profile("broken")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if getattr(_class(item), "rejected_by", _name(item)) == _name(item)]
    for item in items:
        item.user_properties += [("file", str(item.path)), ("name", _name(item))]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome == "failed":
        told = {"test": report.nodeid, "outcome": report.outcome, "when": report.when, **dict(report.user_properties)}
        told["wanted"] = dict(report.sections).get("what the contract wants", "")
        told["text"] = report.longreprtext
        told["duration"] = report.duration
        with Path(os.environ["REPORTS"]).open("a") as file:
            file.write(json.dumps(told) + "\n")


def _class(item: pytest.Item) -> type | None:
    return getattr(item, "cls", None)


def _name(item: pytest.Item) -> str:
    return getattr(item, "originalname", item.name)
