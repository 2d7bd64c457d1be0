"""The upstreams that every peer is put before: nginx with a fixed answer, and the program that streams."""

import sys
from dataclasses import dataclass
from pathlib import Path

from rig.messages import completion
from rig.processes import LOAD_CORE, Running, accepts, free_port, start, wait_until

_CONF = """\
daemon off;
worker_processes 1;
pid {work}/upstream.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {work}/upstream-body;
  default_type application/json;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 '{answer}'; }}
    location /health {{ return 200 '{{}}'; }}
    location /v1/models {{ return 200 '{{"object":"list","data":[{{"id":"gpt-4o-mini","object":"model"}}]}}'; }}
  }}
}}
"""


@dataclass
class Upstreams:
    """`plain` answers 1 KB at once; `streaming` streams, and swallows bodies of any size."""

    plain: Running
    plain_port: int
    streaming: Running
    streaming_port: int

    def stop(self) -> None:
        self.plain.stop()
        self.streaming.stop()


def start_upstreams(work: Path) -> Upstreams:
    """Both, pinned to the load core."""
    plain_port, streaming_port = free_port(), free_port()
    conf = work / "upstream.conf"
    conf.write_text(_CONF.format(work=work, port=plain_port, answer=completion().decode()))
    plain = start("upstream", ["nginx", "-e", "stderr", "-p", work, "-c", conf], LOAD_CORE, work)
    program = Path(__file__).with_name("stream_upstream.py")
    streaming = start("stream-upstream", [sys.executable, program, str(streaming_port)], LOAD_CORE, work)
    wait_until(plain, lambda: accepts(plain_port))
    wait_until(streaming, lambda: accepts(streaming_port))
    return Upstreams(plain, plain_port, streaming, streaming_port)
