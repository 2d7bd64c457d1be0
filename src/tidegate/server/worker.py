"""A gateway worker: one event loop, one Snapshot, no database on the path of a call.

Beside the gateway port it answers its own control process on a unix socket in the data directory: metrics, state, reload.
"""

import asyncio
import contextlib
import gc
import os
import random
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

import uvloop

from tidegate.core.claims import Window
from tidegate.core.clock import Clock, SystemClock
from tidegate.core.snapshot import ServerSpec, Snapshot
from tidegate.decide.compiled import Compiled
from tidegate.gateway.access_log import AccessLog
from tidegate.gateway.app import GatewayApp
from tidegate.gateway.metrics import Metrics
from tidegate.gateway.runtime import Runtime
from tidegate.gateway.upstreams import Upstreams
from tidegate.ledger.spool import Spool
from tidegate.server.allocator import keep_large_blocks
from tidegate.server.compiling import read_snapshot
from tidegate.server.lifeline import watch
from tidegate.server.options import ServeOptions
from tidegate.server.rebuild import load_spent, read_spent, recorded_events
from tidegate.server.settings import tls_files, wire_settings
from tidegate.server.worker_port import WorkerPort
from tidegate.state.health import Health
from tidegate.state.journal import Journal
from tidegate.state.memory import MemoryState
from tidegate.state.owned import OwnedObjects
from tidegate.wire.resolver import Resolver
from tidegate.wire.server import Server

_TICK: Final = 0.05
_SLOW_TICKS: Final = 20
_STDOUT: Final = 1


def run_worker(options: ServeOptions, listener: socket.socket, lifeline: int) -> int:
    """Serves until SIGTERM (or until the supervisor is gone), drains, and returns the exit code."""
    keep_large_blocks()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(options, listener, lifeline))


async def _serve(options: ServeOptions, listener: socket.socket, lifeline: int) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    watch(loop, lifeline, stop.set)
    worker = Worker(options, loop)
    await worker.start(listener)
    await stop.wait()
    return await worker.stop()


class Worker:
    """Puts the parts together and keeps their time."""

    def __init__(self, options: ServeOptions, loop: asyncio.AbstractEventLoop) -> None:
        self._options = options
        self._loop = loop
        self._clock: Clock = SystemClock()
        snapshot = read_snapshot(options.snapshot_file)
        self._spec: ServerSpec = snapshot.server
        resolver = Resolver(loop)
        self._resolver = resolver
        self._access_log = AccessLog(_STDOUT) if options.access_log and snapshot.server.access_log else None
        self._spool = Spool(
            options.spool_dir / "worker-0",
            fsync=snapshot.server.fsync,
            max_bytes=snapshot.server.spool_bytes,
            clock=self._clock,
        )
        self._runtime = Runtime(
            loop=loop,
            clock=self._clock,
            snapshot=snapshot,
            compiled=Compiled.of(snapshot),
            state=MemoryState(self._clock),
            health=Health(self._clock),
            spool=self._spool,
            upstreams=Upstreams(loop, resolver, self._clock).prepare(snapshot),
            metrics=Metrics(),
            access_log=self._access_log,
            rng=random.Random(),
            owned=OwnedObjects(self._clock, Journal(options.owned_dir), self._apart),
        )
        self._app = GatewayApp(self._runtime)
        self._server = Server(self._app, wire_settings(snapshot.server), loop=loop)
        self._port = WorkerPort(self._runtime, self._server, self.reload)
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, listener: socket.socket) -> None:
        runtime, options = self._runtime, self._options
        load_spent(runtime.state, read_spent(runtime.snapshot, options, self._clock.now_ns(), known=frozenset()))
        self._app.restore(recorded_events(options, self._app.open_events()))
        self._tick()
        with contextlib.suppress(FileNotFoundError):
            self._options.worker_socket.unlink()
        await self._port.listen(self._options.worker_socket)
        await self._server.listen(listener, tls_files(self._spec))
        self._runtime.ready = True
        # What was loaded at start lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)

    async def stop(self) -> int:
        """Stops accepting, finishes what runs (bounded), records what was cut, flushes."""
        self._runtime.ready = False
        drained = await self._server.drain(self._spec.drain_timeout)
        if not drained:
            _say("the drain time is over; ending the calls that still run")
        await self._server.close()
        if self._timer is not None:
            self._timer.cancel()
        await self._port.close()
        self._app.close()
        self._runtime.upstreams.close()
        self._runtime.remote_media.close()
        self._resolver.close()
        self._spool.close()
        await self._loop.shutdown_default_executor()
        self._runtime.owned.close()
        if self._access_log is not None:
            self._access_log.close()
        return 0

    def reload(self) -> str:
        """Takes the snapshot file as it is now; calls in flight keep theirs. Returns the new version.

        Raises SecretMissing, OSError or msgspec.DecodeError, and then nothing has changed.
        """
        runtime = self._runtime
        snapshot = read_snapshot(self._options.snapshot_file)
        if snapshot.version == runtime.snapshot.version:
            return snapshot.version
        compiled = Compiled.of(snapshot)
        upstreams = runtime.upstreams.prepare(snapshot)
        spent = read_spent(snapshot, self._options, self._clock.now_ns(), known=_counted(runtime.snapshot))
        runtime.swap(snapshot, compiled, upstreams)  # the last that can fail
        load_spent(runtime.state, spent)
        self._spec = snapshot.server
        self._server.update(wire_settings(snapshot.server))
        return snapshot.version

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_TICK, self._tick)
        self._spool.tick()
        if self._access_log is not None:
            self._access_log.flush()
        self._ticks += 1
        if self._ticks % _SLOW_TICKS == 0:
            self._runtime.state.expire()
            self._runtime.owned.tick()
            self._app.tick()

    def _apart(self, act: Callable[[], None]) -> None:
        self._loop.run_in_executor(None, act)


def _counted(snapshot: Snapshot) -> set[tuple[str, Window]]:
    """The buckets whose counters go on where another snapshot has them too."""
    return {(bucket.key, bucket.window) for consumer in snapshot.consumers for bucket in consumer.buckets}


def _say(message: str) -> None:
    print(f"worker {os.getpid()}: {message}", file=sys.stderr, flush=True)
