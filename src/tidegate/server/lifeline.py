"""A child ends when its supervisor does: the supervisor holds the writing end of a pipe and never writes."""

import asyncio
import os
from collections.abc import Callable


def watch(loop: asyncio.AbstractEventLoop, descriptor: int, gone: Callable[[], None]) -> None:
    """Calls `gone` once, when the other end of `descriptor` has closed."""

    def readable() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        gone()

    loop.add_reader(descriptor, readable)
