"""Ids of calls: unique across workers and restarts, cheap to make, short to paste."""

import secrets


class CallIds:
    """`tg_<64 random bits of this worker's life><counter>`."""

    def __init__(self) -> None:
        self._prefix = "tg_" + secrets.token_hex(8)
        self._count = 0

    def next(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count:06x}"
