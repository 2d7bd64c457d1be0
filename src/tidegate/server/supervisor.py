"""The first process: owns the listening sockets, starts the worker and the control process, replaces what dies.

It runs no event loop and serves nothing itself, so that there is little in it that can fail.
"""

import fcntl
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tidegate import __version__
from tidegate.server.compiling import ConfigurationRefused, compile_apart, read_snapshot
from tidegate.server.options import BadOption, ServeOptions, address_of, listening_socket

_SIGNALS: Final = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD))
_RESPAWN_PAUSE: Final = 0.5
_KILL_AFTER: Final = 15.0
"""Seconds beyond the drain time before a child that does not end is killed."""


def serve(options: ServeOptions) -> int:
    """Runs until told to stop. Exit codes: 0 stopped, 1 the configuration is invalid, 2 an option cannot be served."""
    try:
        lock = _prepare(options)
        gateway = listening_socket(options.listen, "--listen")
        admin = listening_socket(options.admin_listen, "--admin-listen")
    except BadOption as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return 2
    try:
        warnings = compile_apart(options.snapshot_file, options.config)
    except ConfigurationRefused as error:
        print(error, file=sys.stderr)
        return 1
    if warnings:
        print(warnings, file=sys.stderr)
    try:
        return _Supervisor(options, gateway, admin).run()
    finally:
        os.close(lock)


def _prepare(options: ServeOptions) -> int:
    """Makes the data directory and locks it. Raises BadOption."""
    if options.workers != 1:
        raise BadOption(
            f"--workers {options.workers}: more than one worker needs Redis, which this version cannot use yet. "
            "Run one worker, or several gateways with a share of the limits each."
        )
    if options.config is not None and not options.config.exists():
        raise BadOption(f"-c {options.config}: no such file or folder.")
    try:
        options.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(options.data_dir / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadOption(f"--data-dir {options.data_dir}: {error.strerror}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise BadOption(
            f"--data-dir {options.data_dir} is in use by another tidegate. Stop it, or choose another directory."
        ) from error
    return lock


class _Supervisor:
    def __init__(self, options: ServeOptions, gateway: socket.socket, admin: socket.socket) -> None:
        self._options = options
        self._gateway = gateway
        self._admin = admin
        self._children: dict[int, str] = {}
        self._lifeline = os.pipe()

    def run(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        snapshot = read_snapshot(self._options.snapshot_file)
        self._start("worker")
        self._start("control")
        scheme = "http" if snapshot.server.tls_cert_file is None else "https"
        _say(
            f"tidegate {__version__}: gateway {scheme}://{address_of(self._gateway)}, "
            f"admin http://{address_of(self._admin)}, configuration {snapshot.version[:12]} "
            f"({len(snapshot.models)} models, {len(snapshot.consumers)} consumers), data in {self._options.data_dir}"
        )
        while True:
            told = signal.sigwait(_SIGNALS)
            if told == signal.SIGCHLD:
                self._replace_dead()
            elif told == signal.SIGHUP:
                self._signal("control", signal.SIGHUP)
            else:
                return self._stop(snapshot.server.drain_timeout)

    def _start(self, role: str) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = role
            return
        status = 70
        try:
            os.close(self._lifeline[1])
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            status = self._body(role)()
        except KeyboardInterrupt:
            status = 0
        except BaseException as error:  # the child must never return into the parent's code
            _say(f"{role}: {type(error).__name__}: {error}")
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _body(self, role: str) -> Callable[[], int]:
        if role == "worker":
            from tidegate.server.worker import run_worker  # imported by the process that runs it

            self._admin.close()
            return lambda: run_worker(self._options, self._gateway, self._lifeline[0])
        from tidegate.server.control_process import run_control

        self._gateway.close()
        return lambda: run_control(self._options, self._admin, self._lifeline[0])

    def _replace_dead(self) -> None:
        for role, status in self._reap():
            _say(f"the {role} process ended ({os.waitstatus_to_exitcode(status)}); starting another")
            time.sleep(_RESPAWN_PAUSE)
            self._start(role)

    def _reap(self) -> list[tuple[str, int]]:
        ended: list[tuple[str, int]] = []
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            role = self._children.pop(pid, None)
            if role is not None:
                ended.append((role, status))
        return ended

    def _signal(self, role: str | None, number: int) -> None:
        for pid, name in self._children.items():
            if role in (None, name):
                os.kill(pid, number)

    def _stop(self, drain_timeout: float) -> int:
        """The worker drains first; the control process stops after it and takes in its last records."""
        deadline = time.monotonic() + drain_timeout + _KILL_AFTER
        clean = self._end("worker", deadline)
        clean = self._end("control", deadline) and clean
        _say("stopped")
        return 0 if clean else 1

    def _end(self, role: str, deadline: float) -> bool:
        self._signal(role, signal.SIGTERM)
        clean = True
        while role in self._children.values():
            left = deadline - time.monotonic()
            if left <= 0:
                self._signal(role, signal.SIGKILL)
                left = 5.0
            signal.sigtimedwait((signal.SIGCHLD,), left)
            clean = all(status == 0 for name, status in self._reap() if name == role) and clean
        return clean


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def data_dir_default() -> Path:
    """TIDEGATE_DATA_DIR, else `./tidegate-data`."""
    return Path(os.environ.get("TIDEGATE_DATA_DIR") or "tidegate-data")
