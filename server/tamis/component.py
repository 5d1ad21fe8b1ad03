"""What every plugin is: a class with typed settings, declared capabilities and a life cycle."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic_core import CoreSchema, core_schema

from tamis.filters import Operator
from tamis.model import ScoreKind

__all__ = ["CONTRACT_VERSION", "Capabilities", "Component", "Ref", "Settings", "overridable"]

CONTRACT_VERSION = 1
"""The version of the plugin contract this server speaks. A plugin written for another one is refused at start."""


class Settings(BaseModel):
    """Base of a plugin's settings: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a plugin declares about itself, shown by `tamis plugin list` and checked by the conformance kit.

    `filter_operators` are what an index pushes down, exactly or as a superset (the server re-checks);
    `languages` are ISO 639-1 codes, empty for any; `max_candidates` is the most a reranker takes (None: any number);
    `cross_document` says whether a passage's score depends on its neighbours.
    """

    score_kind: ScoreKind = ScoreKind.NONE
    filter_operators: frozenset[Operator] = frozenset()
    languages: frozenset[str] = frozenset()
    max_candidates: int | None = None
    cross_document: bool = False
    contract_version: int = CONTRACT_VERSION


class Component(ABC):
    """A plugin. Built once from its settings; `open` before the first request, `close` after the last.

    The constructor must be cheap and must not read the environment; weights are loaded in `open`. It may set
    `capabilities` of its own where they depend on the settings.
    """

    Settings: ClassVar[type[Settings]] = Settings
    capabilities: Capabilities = Capabilities()
    cache_directory: Path | None = None
    """Set before `open`: a folder, which may not be there yet, for what can be made again at any time. Several servers
    may share it. None: nothing is kept."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    async def open(self) -> None:
        """Makes the plugin ready. Raises `ConfigurationError` when it can never be."""

    def facts(self) -> Sequence[str]:
        """What an operator may want to know of how it runs here, for `tamis doctor`. Opens nothing."""
        return ()

    async def close(self) -> None:
        """Releases everything. Called once, after the last request, in the reverse order of opening."""


T = TypeVar("T", bound=Component)

if TYPE_CHECKING:
    Ref = Annotated[T, "the name of another configured plugin"]
else:

    class Ref(Generic[T]):
        """A setting that names another configured plugin; the plugin gets the opened plugin itself in its place.

        `embedder: Ref[Embedder]` in a `Settings` class, `embedder = "minilm"` in the configuration; for several
        `rerankers: tuple[Ref[Reranker], ...]` and `rerankers = ["late", "cross"]`.
        """

        @classmethod
        def __class_getitem__(cls, role: type) -> Any:
            return Annotated[Any, _Reference(role)]


@dataclass(frozen=True)
class _Reference:
    """Pydantic metadata of a `Ref`: accepts the live plugin, documents itself as a string."""

    role: type

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        return core_schema.is_instance_schema(self.role)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: Any) -> dict[str, Any]:
        return {"type": "string", "description": f"Name of a configured {self.role.__name__}."}


@dataclass(frozen=True, slots=True)
class Reference:
    """A setting that names another plugin of the given role, or several in a tuple."""

    role: type
    is_plural: bool = False


def references(settings: type[BaseModel]) -> dict[str, Reference]:
    """The fields of `settings` that name others: `Ref[Embedder]`, optional or not, `tuple[Ref[Reranker], ...]`."""
    found: dict[str, Reference] = {}
    for name, info in settings.model_fields.items():
        is_plural = get_origin(info.annotation) is tuple
        alternatives = (getattr(each, "__metadata__", ()) for each in get_args(info.annotation))
        for each in (*info.metadata, *chain.from_iterable(alternatives)):
            if isinstance(each, _Reference):
                found[name] = Reference(each.role, is_plural)
    return found


def referred(component: Component) -> list[Component]:
    """The plugins that a plugin's settings refer to, in the order of the settings."""
    found: list[Component] = []
    for name, reference in references(type(component.settings)).items():
        value = getattr(component.settings, name)
        found.extend(value if reference.is_plural else () if value is None else (value,))
    return found


def overridable() -> dict[str, Any]:
    """`json_schema_extra` of a setting that a request may override: `Field(50, json_schema_extra=overridable())`."""
    return {"overridable": True}
