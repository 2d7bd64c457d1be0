"""Tells glibc's allocator what this process does: it takes in and gives out bodies of up to tens of megabytes, all day.

By default every block over 128 KiB is mapped and unmapped afresh, so each large prompt pays for its page faults again:
taking in a body of 1 MB costs fourteen times as much. See mallopt(3). Elsewhere than on glibc nothing is done.
"""

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_LARGEST_KEPT: Final = 32 * 1024 * 1024
_KEPT_AT_MOST: Final = 64 * 1024 * 1024
"""What may stay with the process, unused, before it goes back to the system."""


def keep_large_blocks() -> None:
    """Call once, early, in a process that carries bodies."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_AT_MOST)
