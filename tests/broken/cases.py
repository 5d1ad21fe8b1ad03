"""The contract tests of every broken plugin, each only by the test that has to reject it. Collected by name alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rejection import REJECTED

from tamis.testing.contract.roles import contract_of

for _module in ("components", "documents", "generators", "models", "rerankers", "retrievers"):
    import_module(_module)


def _case(kind: Any) -> type:
    contract: Any = contract_of(kind)
    own = {
        "component": lambda self: kind(kind.Settings()),
        "samples": lambda self: {"a.note": b"Sauces\nThey want a sieve.\n"},
    }
    return type(f"Test{kind.__name__}", (contract,), own)


for _place, (_kind, _test) in enumerate(REJECTED):
    _made: Any = _case(_kind)
    _made.rejected_by = _test
    globals()[f"Test{_place}{_kind.__name__}"] = _made
