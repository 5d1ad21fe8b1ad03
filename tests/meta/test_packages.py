"""The packages as a whole: public names, documentation, what the base install imports."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

import tamis
import tamis_anthropic
import tamis_context
import tamis_extractive
import tamis_hosted
import tamis_llm
import tamis_llm_rankers
import tamis_openai
import tamis_qdrant
import tamis_readers
import tamis_remote
import tamis_rerankers
import tamis_tantivy
import tamis_transformers

PLUGINS = (
    tamis_anthropic,
    tamis_context,
    tamis_extractive,
    tamis_hosted,
    tamis_llm,
    tamis_llm_rankers,
    tamis_openai,
    tamis_qdrant,
    tamis_readers,
    tamis_remote,
    tamis_rerankers,
    tamis_tantivy,
    tamis_transformers,
)
ENGINES = (
    "torch",
    "transformers",
    "qdrant_edge",
    "qdrant_client",
    "tantivy",
    "snowballstemmer",
    "openai",
    "anthropic",
    "pypdfium2",
    "docx",
    "selectolax",
    "charset_normalizer",
    "cohere",
    "mixedbread",
    "voyageai",
    "httpx",
    "yaml",
    "psycopg",
    "ray",
)
_SCRIPTS = {"tamis_qdrant.embedded.worker"}


def _modules() -> Iterator[str]:
    for package in (tamis, *PLUGINS):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            parts = found.name.split(".")
            if "tests" not in parts and parts[:2] != ["tamis", "v1"] and found.name not in _SCRIPTS:
                yield found.name


@pytest.fixture(params=sorted(_modules()))
def module(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "tamis.rpc.ray_serve":
        pytest.importorskip("ray", reason="not installed: ray; make test-ray installs it")
    return importlib.import_module(request.param)


def test_every_public_name_exists_and_is_documented(module: ModuleType) -> None:
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    for name in names:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def test_every_module_says_in_its_first_line_what_it_is(module: ModuleType) -> None:
    assert module.__doc__
    assert module.__doc__.splitlines()[0].endswith((".", ":"))


def test_the_server_starts_to_import_without_any_engine() -> None:
    code = f"import sys, tamis.cli.app, tamis.rpc.app; sys.exit(' '.join(set(sys.modules) & set({ENGINES!r})))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr.strip() == ""


def test_what_looks_at_plugins_imports_no_providers_sdk() -> None:
    sdks = ("openai", "anthropic", "cohere", "voyageai", "mixedbread", "torch", "transformers")
    looked = "import sys; from tamis.plugins import inspect; assert all(each.settings_schema for each in inspect())"
    code = f"{looked}; sys.exit(' '.join(set(sys.modules) & set({sdks!r})))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr.strip() == ""


def test_the_client_imports_nothing_of_the_server() -> None:
    server_only = ("numpy", "pydantic", "structlog", "tamis.errors", "tamis.service")
    code = f"import sys, tamis.client; sys.exit(' '.join(set(sys.modules) & set({server_only!r})))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr.strip() == ""
