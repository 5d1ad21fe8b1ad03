"""Reads `tamis.toml` and refuses what it does not understand, with file, line and column."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from tamis.errors import ConfigurationError
from tamis.event_loops import EventLoopKind
from tamis.fusion import FusionSettings
from tamis.gains import GainCurve
from tamis.hosting.settings import PluginServerConfig, is_loopback
from tamis.prices import PriceTable

__all__ = [
    "PRESETS",
    "Config",
    "IngestConfig",
    "JournalConfig",
    "PipelineConfig",
    "PlannerConfig",
    "PluginConfig",
    "PluginServerConfig",
    "ServerConfig",
    "TenancyConfig",
    "load",
    "load_preset",
    "parse",
    "preset_text",
]

PRESETS = ("default", "fast", "hosted", "low-latency", "quality", "batch", "offline")
"""The configurations that come with Tamis."""

FILE_NAME = "tamis.toml"
_TAKEN_HEADERS = frozenset({"x-request-id", "user-agent", "content-type", "te"})
NAME = r"[a-z][a-z0-9_-]{0,62}"
TENANT_ID = r"[a-z0-9_-]{1,63}"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerConfig(_Section):
    """The table `[server]`. Durations are seconds. In `cache_directory` is what can be made again at any time."""

    listen: str = "127.0.0.1:7601"
    metrics_listen: str = ""
    data_directory: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("tamis")))
    cache_directory: Path | None = None
    default_deadline: Annotated[float, Field(gt=0, le=3600)] = 10.0
    deadline_margin: Annotated[float, Field(ge=0, le=10)] = 0.02
    max_message_bytes: Annotated[int, Field(ge=65_536, le=1 << 30)] = 64 << 20
    max_concurrent_calls: Annotated[int, Field(ge=1)] = 256
    event_loop: EventLoopKind = "auto"

    @field_validator("metrics_listen")
    @classmethod
    def _is_off_or_loopback(cls, value: str) -> str:
        return cls._is_loopback(value) if value else value

    @field_validator("listen")
    @classmethod
    def _is_loopback(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not port.isdigit() or int(port) > 65_535:
            raise ValueError("is HOST:PORT, port 0 to 65535")
        if host != "localhost" and not is_loopback(host.strip("[]")):
            raise ValueError("must be a loopback address (127.0.0.1, ::1, localhost): there is no authentication yet")
        return value


class TenancyConfig(_Section):
    """The table `[tenancy]`. `header` names the metadata key that says for which tenant a call is made; empty for none.

    Whoever can set it is that tenant: the server must only be reachable through the proxy that sets it. Without
    `required`, a call that lacks it is an operator's.
    """

    header: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_.-]*)?$", max_length=64)] = ""
    required: bool = True

    @field_validator("header")
    @classmethod
    def _is_plain(cls, value: str) -> str:
        if value.endswith("-bin") or value.startswith("grpc-") or value in _TAKEN_HEADERS:
            raise ValueError("is a key that gRPC or Tamis uses itself, or one of binary values")
        return value


class PlannerConfig(_Section):
    """The table `[planner]`. Without `learns`, deadlines are divided by fixed shares.

    `gains` are measured curves by stage: how much nDCG@10 a reranker adds, as `[depth, gain]` pairs of rising depth.
    """

    learns: bool = True
    gains: dict[str, tuple[tuple[int, float], ...]] = {}

    @field_validator("gains")
    @classmethod
    def _are_curves(cls, value: dict[str, tuple[tuple[int, float], ...]]) -> dict[str, tuple[tuple[int, float], ...]]:
        for points in value.values():
            GainCurve.through(points)
        return value


class IngestConfig(_Section):
    """The table `[ingest]`. `chunker` names a configured model that divides documents into passages."""

    chunker: str = ""


class JournalConfig(_Section):
    """The table `[journal]`: a PostgreSQL database that servers share. Without `url`, SQLite in the data directory.

    `lease_seconds` is how long the others wait for a server that is gone before one of them writes shared indexes.
    """

    url: SecretStr | None = None
    password_file: Path | None = None
    namespace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")] = "tamis"
    lease_seconds: Annotated[float, Field(ge=1, le=300)] = 15.0

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("is postgresql://USER@HOST/DATABASE")
        return value

    @field_validator("namespace")
    @classmethod
    def _is_not_the_systems(cls, value: str) -> str:
        if value.startswith("pg_"):
            raise ValueError("must not begin with pg_, as PostgreSQL's own schemas do")
        return value


class PluginConfig(BaseModel):
    """A table `[models.NAME]` or `[stages.NAME]`: which plugin, and its settings, checked by the plugin itself.

    `replaces` names the stage that this one answers for, from the next generation of each collection on.
    `stored` keeps the passage vectors of an embedder on the disk, the latest `stored_bytes` of them.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    plugin: str
    stored: bool = False
    stored_bytes: Annotated[int, Field(ge=1 << 20)] | None = None
    replaces: str = ""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What in the table is the plugin's own."""
        return self.model_extra or {}


class PipelineConfig(_Section):
    """A table `[pipelines.NAME]`."""

    expression: str
    description: str = ""
    required: frozenset[str] = frozenset()
    fusion: FusionSettings = FusionSettings()


class Config(_Section):
    """The whole file."""

    server: ServerConfig = ServerConfig()
    tenancy: TenancyConfig = TenancyConfig()
    planner: PlannerConfig = PlannerConfig()
    ingest: IngestConfig = IngestConfig()
    journal: JournalConfig = JournalConfig()
    models: dict[str, PluginConfig] = {}
    stages: dict[str, PluginConfig] = {}
    pipelines: dict[str, PipelineConfig] = {}
    prices: PriceTable = PriceTable()
    plugin_server: PluginServerConfig = PluginServerConfig()
    _path: str = PrivateAttr("")
    _text: str = PrivateAttr("")

    @model_validator(mode="after")
    def _names_are_usable(self) -> Config:
        for kind, names in (("models", self.models), ("stages", self.stages), ("pipelines", self.pipelines)):
            for name in names:
                if not re.fullmatch(NAME, name) or name == "prior":
                    raise ValueError(f"{kind}.{name}: a name is a letter, then letters, digits, - and _; not `prior`")
        if both := self.models.keys() & self.stages.keys():
            raise ValueError(f"{sorted(both)[0]!r} is the name of a model and of a stage; names are shared")
        if unknown := sorted(self.planner.gains.keys() - self.stages.keys()):
            raise ValueError(f"planner.gains names {unknown[0]!r}, which is no stage")
        return self

    @property
    def replacements(self) -> dict[str, str]:
        """For each stage that another one replaces, that one's name."""
        return {table.replaces: name for name, table in self.stages.items() if table.replaces}

    @property
    def origin(self) -> str:
        """Where it was read from, for people."""
        return self._path or "(configuration)"

    def with_server(self, **changes: object) -> Config:
        """The same with keys of `[server]` replaced. Raises `ConfigurationError`."""
        try:
            server = ServerConfig.model_validate({**self.server.model_dump(), **changes})
        except ValidationError as error:
            raise ConfigurationError(allowed(error, ServerConfig)[0]) from None
        return self._changed(server=server)

    def with_plugin_server(self, **changes: object) -> Config:
        """The same with keys of `[plugin_server]` replaced. Raises `ConfigurationError`."""
        try:
            changed = PluginServerConfig.model_validate({**self.plugin_server.model_dump(), **changes})
        except ValidationError as error:
            raise ConfigurationError(allowed(error, PluginServerConfig)[0]) from None
        return self._changed(plugin_server=changed)

    def with_setting(self, name: str, setting: str, value: object) -> Config:
        """The same with one setting of a model or a stage replaced. Raises `ConfigurationError` when there is none."""
        kind = "stages" if name in self.stages else "models"
        tables: dict[str, PluginConfig] = getattr(self, kind)
        if name not in tables:
            known = ", ".join(sorted({*self.models, *self.stages}))
            raise ConfigurationError(f"no model or stage named {name!r} to change; there are: {known}")
        try:
            table = PluginConfig.model_validate({**tables[name].model_dump(), setting: value})
        except ValidationError as error:
            raise ConfigurationError(f"[{kind}.{name}] {allowed(error, PluginConfig)[0]}") from None
        return self._changed(**{kind: {**tables, name: table}})

    def _changed(self, **update: object) -> Config:
        """A copy that still knows its text, so that errors name their line."""
        changed = self.model_copy(update=update)
        changed._path, changed._text = self._path, self._text
        return changed

    def line_of(self, *keys: str) -> int | None:
        """The line, from 1, of a key: `line_of("pipelines", "default", "expression")`. None where the text has none."""
        return _locate(self._text, keys)[0]

    def error(self, message: str, *keys: str) -> ConfigurationError:
        """An error at the place of a key: `error("…", "stages", "bm25", "plugin")`."""
        line, column = _locate(self._text, keys)
        return ConfigurationError(message, path=self._path or None, line=line, column=column)


def load(path: Path | None = None) -> Config:
    """Reads the file at `path`; without one `./tamis.toml`, and if there is none either, the built-in default.

    Raises `ConfigurationError` with the place and what is allowed there.
    """
    if path is None:
        here = Path(FILE_NAME)
        return load(here) if here.exists() else load_preset("default")
    try:
        return parse(path.read_text(encoding="utf-8"), path=str(path))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"not UTF-8 at byte {error.start}", path=str(path)) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", path=str(path)) from None


def load_preset(name: str) -> Config:
    """One of `PRESETS`. Raises `ConfigurationError` for another name."""
    return parse(preset_text(name), path=f"(built-in {name})")


def preset_text(name: str = "default") -> str:
    """A built-in configuration, as a file to begin with. Raises `ConfigurationError` for a name not in `PRESETS`."""
    if name not in PRESETS:
        raise ConfigurationError(f"no preset named {name!r}; there are: {', '.join(PRESETS)}")
    files = resources.files("tamis")
    file = files / "default.toml" if name == "default" else files / "presets" / f"{name}.toml"
    return file.read_text(encoding="utf-8")


def parse(text: str, *, path: str = "") -> Config:
    """Reads the text of a configuration file."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(error, text, path) from None
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise _first(error, text, path) from None
    config._path, config._text = path, text
    return config


def allowed(error: ValidationError, model: type[BaseModel]) -> tuple[str, tuple[str, ...]]:
    """The first problem of a validation in words, with what is allowed, and the keys that lead to it."""
    first = error.errors(include_url=False)[0]
    keys = tuple(str(each) for each in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = f"unknown key {keys[-1]!r}; allowed here: {', '.join(sorted(_fields_at(model, keys[:-1])))}"
    elif keys:
        message = f"{'.'.join(keys)}: {message}"
    return message, keys


def _fields_at(model: type[BaseModel], keys: tuple[str, ...]) -> list[str]:
    for key in keys:
        info = model.model_fields.get(key)
        inner = info.annotation if info else None
        arguments = getattr(inner, "__args__", ())
        inner = arguments[-1] if arguments else inner
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return list(model.model_fields)


def _first(error: ValidationError, text: str, path: str) -> ConfigurationError:
    message, keys = allowed(error, Config)
    line, column = _locate(text, keys)
    return ConfigurationError(message, path=path or None, line=line, column=column)


def _syntax_error(error: tomllib.TOMLDecodeError, text: str, path: str) -> ConfigurationError:
    """tomllib tells the place in its message only, before Python 3.14."""
    found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
    message = str(error)[: found.start()] if found else str(error)
    if found and found[1]:
        return ConfigurationError(message, path=path or None, line=int(found[1]), column=int(found[2]))
    lines = text.splitlines() or [""]
    return ConfigurationError(message, path=path or None, line=len(lines), column=len(lines[-1]) + 1)


def _locate(text: str, keys: tuple[str, ...]) -> tuple[int | None, int | None]:
    """Line and column of the innermost of `keys` that has a line of its own: its `key =`, else its table's header."""
    table: tuple[str, ...] = ()
    best: tuple[int, int, int] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]#]+?)\s*\]+", line):
            table = _split(header[1])
            depth, column = len(table), header.start(1) + 1
            place = table
        elif assignment := re.match(r"\s*([\w.\-\"' ]+?)\s*=", line):
            place = (*table, *_split(assignment[1]))
            depth, column = len(place), assignment.start(1) + 1
        else:
            continue
        if keys[:depth] == place and (best is None or depth > best[0]):
            best = (depth, number, column)
    return (best[1], best[2]) if best else (None, None)


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
