"""Lines on disk from which a state can be made again: appended one by one, rewritten when most of them no longer count.

A directory holds generations: `N.base` is all that counted when `N.log` was begun. What is read is the newest whole base
and every log from there on. A line that a crash or a full disk tore is passed over. Knows nothing of what lines mean.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"(\d{12})\.(base|log)")
_PIECE_BYTES: Final = 1 << 20


class Journal:
    """One process at a time writes it. `directory` is made if it is missing."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._generation = max((number for number, _ in self._files()), default=0)
        self._log: int | None = None
        self._torn = False
        self._unsynced = False
        self.lines = 0
        """In the log that is written now."""

    def read(self) -> Iterator[bytes]:
        """Every line that counts, oldest first, without its end."""
        files = sorted(self._files())
        base = max((number for number, kind in files if kind == "base"), default=0)
        for number, kind in files:
            if number >= base and (kind == "log" or number == base):
                yield from (line for line in self._path(number, kind).read_bytes().split(b"\n") if line)

    def begin(self) -> Callable[[Iterable[bytes]], None]:
        """Starts the next generation. Raises OSError, as does what it returns: that writes what counts at this moment as
        its base and removes what is older. It may run in a thread; until it has run nothing is lost.
        """
        generation = self._generation + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.open(self._path(generation, "log"), flags, 0o600)
        if self._log is not None:
            os.close(self._log)
        self._log, self._generation, self.lines, self._torn = log, generation, 0, False
        return lambda lines: self._write_base(generation, lines)

    def append(self, line: bytes) -> None:
        """When it returns, the line survives the process; a loss of power after `sync` too. Raises OSError."""
        if self._log is None:
            raise OSError("the journal is not open")
        data = b"\n" + line + b"\n" if self._torn else line + b"\n"
        self._torn = True
        written = os.write(self._log, data)
        if written < len(data):
            raise OSError(f"{self._directory}: only {written} of {len(data)} bytes could be written")
        self._torn = False
        self._unsynced = True
        self.lines += 1

    @property
    def unsynced(self) -> bool:
        return self._unsynced

    def sync(self) -> None:
        """Waits for the disk. May run in a thread. Raises OSError."""
        log = self._log
        if log is not None and self._unsynced:
            self._unsynced = False
            os.fsync(log)

    def close(self) -> None:
        """Nothing can be appended afterwards."""
        if self._log is not None:
            self.sync()
            os.close(self._log)
            self._log = None

    def _write_base(self, generation: int, lines: Iterable[bytes]) -> None:
        draft = self._directory / f"{generation:012d}.draft"
        with draft.open("wb", buffering=_PIECE_BYTES) as file:
            file.writelines(line + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._path(generation, "base"))
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)  # the new name first: what it stands for goes only then
        finally:
            os.close(directory)
        for number, kind in self._files():
            if number < generation:
                self._path(number, kind).unlink(missing_ok=True)

    def _files(self) -> list[tuple[int, str]]:
        matches = (_NAME.fullmatch(path.name) for path in self._directory.iterdir())
        return [(int(match[1]), match[2]) for match in matches if match is not None]

    def _path(self, number: int, kind: str) -> Path:
        return self._directory / f"{number:012d}.{kind}"
