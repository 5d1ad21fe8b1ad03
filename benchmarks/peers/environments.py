"""An environment of its own for each peer, on one PyTorch, which stands in an environment that they all read."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["ENVIRONMENTS", "TAMIS", "install", "problem", "python"]

TAMIS = "tamis"
"""The environment that this benchmark itself runs in."""
_SHARED = "torch"
ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    _SHARED: ("torch",),
    "sentence-transformers": ("sentence-transformers",),
    "openvino": ("sentence-transformers[openvino]",),
    "onnx": ("sentence-transformers[onnx]",),
    "rerankers": ("rerankers[transformers]",),
    "haystack": ("haystack-ai", "sentence-transformers-haystack"),
    "infinity": ("infinity-emb[torch,server]",),
    "routir": ("routir", "sentence-transformers"),
    "pylate": ("pylate",),
}
"""What is installed in each, with the versions that pip chooses."""
_UNWANTED = ("torchvision", "openvino-telemetry")
"""What comes with some: the one is built for another PyTorch and breaks imports, the other reports its use."""
_CONSTRAINTS = Path(__file__).with_name("constraints.txt")


def python(folder: Path, name: str) -> Path:
    """The interpreter of an environment below `folder`."""
    return Path(sys.executable) if name == TAMIS else folder / name / "bin" / "python"


def problem(folder: Path, name: str) -> str | None:
    """Why an environment cannot be used; None when it can."""
    if name == TAMIS or _marker(folder, name).exists():
        return None
    reason = folder / name / "failed.txt"
    if reason.exists():
        return f"cannot be installed: {reason.read_text().strip()}"
    return "not installed; run: make bench-install"


def install(folder: Path, names: Sequence[str], told: Callable[[str, str], None]) -> None:
    """Makes what is not there yet; what cannot be installed keeps the reason. `told` hears each name and its state."""
    for name in (_SHARED, *(each for each in names if each != _SHARED)):
        if _marker(folder, name).exists():
            told(name, "is there")
            continue
        told(name, "…")
        error = _made(folder, name)
        (folder / name / "failed.txt").write_text(error or "")
        if error is None:
            (folder / name / "failed.txt").unlink()
            _marker(folder, name).touch()
        told(name, "installed" if error is None else f"failed: {error}")


def _marker(folder: Path, name: str) -> Path:
    """Named by all that the environment is made of, so that a change makes it anew."""
    key = hashlib.blake2b(repr((ENVIRONMENTS[name], _CONSTRAINTS.read_text())).encode(), digest_size=8).hexdigest()
    return folder / name / f"ready-{key}"


def _made(folder: Path, name: str) -> str | None:
    """The reason when it fails."""
    executable = python(folder, name)
    if not executable.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
    if name != _SHARED:
        (_packages(folder, name) / "shared-torch.pth").write_text(f"{_packages(folder, _SHARED)}\n")
    pip = [str(executable), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--constraint", str(_CONSTRAINTS), *ENVIRONMENTS[name]], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return _reason(done.stderr or done.stdout)
    removing = [str(executable), "-m", "pip", "uninstall", "--quiet", "--yes", *_UNWANTED]
    subprocess.run(removing, capture_output=True, check=True)
    return None


def _packages(folder: Path, name: str) -> Path:
    return next((folder / name / "lib").glob("python3*")).resolve() / "site-packages"


def _reason(output: str) -> str:
    """The first line that names an error; pip's last lines are often about pip."""
    lines = [each.strip() for each in output.splitlines() if each.strip()]
    return next((each for each in lines if each.startswith("ERROR")), lines[-1] if lines else "pip failed")[:300]
