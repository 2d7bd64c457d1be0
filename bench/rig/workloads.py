"""What `instructions.py` lets a worker do."""

from dataclasses import dataclass

KEY = "tg-bench-0123456789abcdef"
"""The consumer's."""


@dataclass(frozen=True)
class Workload:
    """Calls in a row on one connection."""

    calls: int
    body_bytes: int = 800
    chunks: int = 0
    """0: the answer is whole."""


WORKLOADS = {
    "call": Workload(1000),
    "call-64k": Workload(200, 64 * 1024),
    "call-1m": Workload(40, 1024 * 1024),
    "stream": Workload(100, chunks=50),
    "long-stream": Workload(100, chunks=150),
}
