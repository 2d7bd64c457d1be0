"""What the sessions of the Python clients share: where the gateway is, the tool they offer, and a line for each check.

A session runs in its client's own virtual environment, where nothing of Tidegate can be imported. `GATEWAY` has no path;
`MODEL` is a public name, and who answers it in the end is of another dialect than the client's.
"""

import asyncio
import inspect
import json
import os
import traceback
from collections.abc import Callable

GATEWAY = os.environ["GATEWAY"]
KEY = os.environ["GATEWAY_KEY"]
QUESTION = "When does the tide turn?"
TOOL_QUESTION = "What is the weather in Rome? Use the tool."
WEATHER = "21 degrees, wind from the west"


class Place:
    """The tool's function, and how often it was called."""

    def __init__(self) -> None:
        self.asked = 0

    def weather(self, city: str) -> str:
        """The weather in a city, now."""
        self.asked += 1
        assert isinstance(city, str), city
        return WEATHER


def run(*checks: Callable[[], object]) -> None:
    """Runs each and tells of it: `{"check": NAME, "failed": REASON, "told": ...}`, no reason where it held.

    A check returns what is worth telling; it may be a coroutine function, and all of them share a loop.
    """
    with asyncio.Runner() as runner:
        for check in checks:
            line = {"check": check.__name__, "failed": "", "told": ""}
            try:
                told = check()
                if inspect.iscoroutine(told):
                    told = runner.run(told)
                line["told"] = str(told or "")[:200]
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[0]
                line["failed"] = f"line {where.lineno}: {type(error).__name__}: {error}"[:2000]
            print(json.dumps(line), flush=True)


def raised(kind: type[BaseException], act: Callable[[], object]) -> str:
    """`act` raises exactly this class, or one below it; what it says."""
    try:
        act()
    except kind as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError(f"no {kind.__name__}")
