"""The control process: watches the configuration, takes records into the ledger, answers the admin port.

It may die without one call failing; the supervisor starts another.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from tidegate.control.app import ControlApp
from tidegate.control.worker_client import WorkerAway, ask_worker
from tidegate.core.clock import SystemClock
from tidegate.server.compiling import command
from tidegate.server.lifeline import watch
from tidegate.server.options import ServeOptions
from tidegate.store.ledger import Ledger
from tidegate.wire.server import Server, ServerSettings

_WATCH_SECONDS: Final = 1.0
_INGEST_SECONDS: Final = 0.25
_PRUNE_SECONDS: Final = 3600.0
_NICENESS: Final = 19
"""Serving goes first: records wait in the spool, bounded, when the machine is busy."""


def run_control(options: ServeOptions, listener: socket.socket, lifeline: int) -> int:
    """Runs until SIGTERM, or until the supervisor is gone."""
    os.nice(_NICENESS)
    return asyncio.run(_run(options, listener, lifeline))


async def _run(options: ServeOptions, listener: socket.socket, lifeline: int) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    hup = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hup.set)
    watch(loop, lifeline, stop.set)
    server = Server(ControlApp(options.worker_socket), ServerSettings(), loop=loop)
    await server.listen(listener)
    tasks = [
        loop.create_task(_keep_configuration(options, hup)),
        loop.create_task(_keep_ledger(options)),
    ]
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.close()
    await asyncio.to_thread(_ingest, options)
    return 0


async def _keep_configuration(options: ServeOptions, hup: asyncio.Event) -> None:
    """Recompiles when a file changes or on SIGHUP."""
    seen = _fingerprint(options.config)
    while True:
        try:
            await asyncio.wait_for(hup.wait(), _WATCH_SECONDS)
        except TimeoutError:
            pass
        forced = hup.is_set()
        hup.clear()
        now = _fingerprint(options.config)
        if forced or now != seen:
            seen = now
            await _recompile(options)


async def _recompile(options: ServeOptions) -> None:
    """An invalid configuration is refused whole: the snapshot file stays, and with it the worker's snapshot."""
    process = await asyncio.create_subprocess_exec(
        *command(options.snapshot_file, options.config), stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    text = told.decode(errors="replace").strip()
    if process.returncode:
        _say(f"configuration refused, the last good one stays:\n{text}")
        return
    if text:
        _say(text)
    try:
        status, body = await ask_worker(options.worker_socket, "POST", "/reload")
    except WorkerAway:
        return  # the worker that is being started reads the new file
    if status == 200:
        _say(f"configuration loaded: {body.decode()[:12]}")
    else:
        _say(f"configuration refused, the last good one stays: {body.decode().strip()}")


async def _keep_ledger(options: ServeOptions) -> None:
    """Takes records in, a batch at a time, in a thread; a fault is told and tried again."""
    clock, pruned = SystemClock(), 0.0
    while True:
        try:
            await asyncio.to_thread(_ingest, options)
            if clock.monotonic() - pruned > _PRUNE_SECONDS:
                pruned = clock.monotonic()
                await asyncio.to_thread(_prune, options)
        except Exception as error:
            _say(f"the ledger cannot take records in now: {error}. They wait in the spool.")
            await asyncio.sleep(5.0)
        await asyncio.sleep(_INGEST_SECONDS)


def _ingest(options: ServeOptions) -> None:
    with Ledger.open(options.data_dir) as ledger:
        ledger.ingest(options.spool_dir)


def _prune(options: ServeOptions) -> None:
    from tidegate.server.compiling import read_snapshot

    days = read_snapshot(options.snapshot_file).retention_days
    if days is not None:
        with Ledger.open(options.data_dir) as ledger:
            ledger.prune(days)


def _fingerprint(config: Path | None) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the configuration's files."""
    if config is None:
        return ()
    files = [config] if config.is_file() else sorted(p for p in config.rglob("*") if p.suffix in (".yaml", ".yml"))
    told: list[tuple[str, int, int]] = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            continue
        told.append((str(file), stat.st_mtime_ns, stat.st_size))
    return tuple(told)


def _say(message: str) -> None:
    print(f"control: {message}", file=sys.stderr, flush=True)
