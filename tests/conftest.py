"""For all tests: whatever proxy the machine uses, servers on loopback are reached without it."""

import os

_KNOWN = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, (_KNOWN, "127.0.0.1,localhost,::1")))
