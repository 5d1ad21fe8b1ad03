"""How properties are checked, in the tests of the server and of the plugins alike."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example or its making takes depends on what else the machine does, so neither fails a test.
_PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("same", derandomize=True, **_PATIENT)
settings.register_profile("other", **_PATIENT)
settings.load_profile("same")
