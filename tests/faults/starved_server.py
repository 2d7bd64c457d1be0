"""A wire server with hardly a file descriptor left; run as a program, prints its port, ends when its input does."""

import asyncio
import os
import resource
import sys

import uvloop
from tests.support.http_server import RecordingApp, serving


async def main() -> None:
    async with serving(RecordingApp()) as (_, port):
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        used = max(int(name) for name in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, used + 8))
        print(port, flush=True)
        await ended.wait()


if __name__ == "__main__":
    uvloop.run(main())
