"""For all tests: whatever proxy the machine uses, servers on loopback are reached without it; Hypothesis judges no time."""

import os

from hypothesis import HealthCheck, settings

_KNOWN = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, (_KNOWN, "127.0.0.1,localhost,::1")))

settings.register_profile("tidegate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tidegate")
