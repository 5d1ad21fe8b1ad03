"""The pytest plugin: contract tests for what a fixture `tamis_plugin` returns, and failures that quote the contract."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

__all__ = ["FIXTURE"]

FIXTURE = "tamis_plugin"
"""What the fixture is called; several in one module go on after an underscore: `tamis_plugin_without_cache`."""

_HOW = f"""say in the fixture's return annotation which class it returns:

    @pytest.fixture(scope="module")
    def {FIXTURE}() -> MyReranker: ..."""


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> Any:
    """Collects, for each such fixture of a test module, the contract tests of the role that it is annotated with."""
    is_named = name == FIXTURE or name.startswith(f"{FIXTURE}_")
    if not is_named or not isinstance(collector, pytest.Module) or isinstance(obj, type):
        return None
    contract = _contract(_returned(obj, name), name)
    found = pytest.Class.from_parent(collector, name=contract.__name__, obj=contract)
    found.obj = contract
    found.add_marker(pytest.mark.usefixtures(name))  # of a class that is not looked up by its name none are read
    return found


def _returned(fixture: object, name: str) -> Any:
    """The class that a fixture says it returns, or yields."""
    function: Any = inspect.unwrap(typing.cast(Any, fixture))
    try:
        returned = typing.get_type_hints(function).get("return")
    except (NameError, TypeError) as error:
        raise pytest.Collector.CollectError(f"{name}: {error}; {_HOW}") from error
    if typing.get_origin(returned) in (Iterator, Generator):
        returned = typing.get_args(returned)[0]
    return returned


def _contract(kind: Any, name: str) -> type[Any]:
    """The contract tests of a class, as a class of tests over the fixture."""
    from tamis.testing.contract.roles import contract_of

    contract = contract_of(kind)
    if contract is None:
        raise pytest.Collector.CollectError(f"{name}: {kind!r} is no plugin with contract tests; {_HOW}")

    def component(self: Any) -> Any:
        from tamis.testing.contract.component import fresh

        return fresh(type(self).given)

    def given(cls: type[Any], request: pytest.FixtureRequest) -> None:
        cls.given = request.getfixturevalue(name)

    own = {
        "__module__": contract.__module__,
        "component": component,
        "_given": pytest.fixture(scope="class")(typing.cast(Any, classmethod(given))),
    }
    words = name.removeprefix(FIXTURE).title().replace("_", "")
    return type(f"Test{kind.__name__}{words}", (contract,), own)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Adds to the failure of a contract test what the contract says."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        places = _places(item)
        if places:
            wanted = item.originalname.removeprefix("test_").replace("_", " ")
            advice = inspect.getdoc(item.function)
            text = "\n\n".join([f"Wanted: {wanted}.", *([advice] if advice else []), *map(_quoted, places)])
            report.sections.append(("what the contract wants", text))
    return report


def _places(item: pytest.Function) -> tuple[Any, ...]:
    """Where the contract states what a test of a contract class checks."""
    if hasattr(item.function, "places"):
        return tuple(item.function.places)
    for each in getattr(item.cls, "__mro__", ()):
        if item.originalname in vars(each) and each.__module__.startswith("tamis.testing.contract"):
            return tuple(each.places)
    return ()


def _quoted(place: Any) -> str:
    """What stands there, and where that is."""
    if isinstance(place, str):
        return f"See {place}."
    stated: Any = place.fget if isinstance(place, property) else place
    file, line = Path(inspect.getsourcefile(stated) or ""), inspect.getsourcelines(stated)[1]
    said = inspect.getdoc(stated) or ""
    quoted = "\n".join(f"    {each}".rstrip() for each in said.splitlines())
    return f"{stated.__module__}.{stated.__qualname__} ({file}:{line}) says:\n{quoted}"
