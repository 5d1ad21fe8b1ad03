"""Where an encoder computes: torch, OpenVINO or ONNX Runtime, chosen by a setting or by a measurement."""

from tamis_transformers.runtimes.settings import RuntimeSettings

__all__ = ["RuntimeSettings"]
