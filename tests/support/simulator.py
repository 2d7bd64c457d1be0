"""A simulated provider in a thread of the test's own process, with its log and models at hand."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import uvloop

from tidegate.simulator.app import Simulator
from tidegate.simulator.behaviour import Profile, profile_from
from tidegate.simulator.calls import Call
from tidegate.simulator.serve import Running, start

T = TypeVar("T")


class SimulatorThread:
    """A running simulator. Everything that touches it runs on its own loop."""

    def __init__(self, running: Running, loop: asyncio.AbstractEventLoop) -> None:
        self.url = running.url
        self.port = running.port
        self._simulator = running.simulator
        self._loop = loop

    def run(self, act: Callable[[Simulator], T]) -> T:
        """`act(simulator)` on its loop."""

        async def acted() -> T:
            return act(self._simulator)

        return asyncio.run_coroutine_threadsafe(acted(), self._loop).result(10)

    def change(self, model: str, **fields: object) -> None:
        """Fields of a Behaviour as a profile writes them: `change("gpt-4.1", script=["503"])`."""
        self.run(lambda simulator: simulator.change_model(model, **fields))

    def reset(self) -> None:
        """Back to the profile; the log is empty."""
        self.run(lambda simulator: simulator.reset())

    def calls(self, model: str | None = None) -> list[Call]:
        """What it saw, oldest first."""
        return self.run(lambda simulator: simulator.calls.recent(model))


@contextmanager
def simulator_thread(profile: Profile | None = None, port: int = 0) -> Iterator[SimulatorThread]:
    """Runs from here to the end of the block. Without a profile: the default models."""
    ready = threading.Event()
    made: list[SimulatorThread] = []
    failed: list[BaseException] = []
    stop: list[asyncio.Event] = []

    async def main() -> None:
        running = await start(profile_from({}) if profile is None else profile, port=port)
        stop.append(asyncio.Event())
        made.append(SimulatorThread(running, asyncio.get_running_loop()))
        ready.set()
        await stop[0].wait()
        await running.stop()

    def target() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=target, name="simulator")
    thread.start()
    ready.wait(30)
    if not made:
        thread.join(5)
        raise RuntimeError("the simulator did not start") from (failed[0] if failed else None)
    try:
        yield made[0]
    finally:
        made[0]._loop.call_soon_threadsafe(stop[0].set)
        thread.join(30)
        if failed:
            raise failed[0]
