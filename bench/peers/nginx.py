"""nginx as a plain reverse proxy: the yardstick of what a proxied request costs at least."""

from pathlib import Path

from rig.load import Endpoint

from peers.peer import Launch, Peer, apt_install

_CONF = """\
daemon off;
worker_processes 1;
pid {work}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 64m;
  client_body_buffer_size 4m;
  client_body_temp_path {work}/body;
  proxy_temp_path {work}/proxy;
  upstream llm {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://llm;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def _launch(installed: Path, work: Path, port: int, upstream_port: int) -> Launch:
    conf = work / "nginx.conf"
    conf.write_text(_CONF.format(work=work, port=port, upstream=upstream_port))
    command = ["nginx", "-e", "stderr", "-p", work, "-c", conf]
    return Launch(command, Endpoint(port, "/v1/chat/completions"))


PEER = Peer(
    "nginx", "plain reverse proxy, keep-alive, one worker", lambda _: apt_install("nginx", ["nginx", "-v"]), _launch
)
