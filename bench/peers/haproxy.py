"""HAProxy as a plain reverse proxy."""

from pathlib import Path

from rig.load import Endpoint

from peers.peer import Launch, Peer, apt_install

_CONF = """\
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  http-reuse always
  option http-no-delay
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend gateway
  bind 127.0.0.1:{port}
  default_backend llm
backend llm
  server one 127.0.0.1:{upstream} pool-max-conn -1
"""


def _launch(installed: Path, work: Path, port: int, upstream_port: int) -> Launch:
    conf = work / "haproxy.cfg"
    conf.write_text(_CONF.format(port=port, upstream=upstream_port))
    return Launch(["haproxy", "-db", "-f", conf], Endpoint(port, "/v1/chat/completions"))


PEER = Peer(
    "haproxy",
    "plain reverse proxy, keep-alive, one thread",
    lambda _: apt_install("haproxy", ["haproxy", "-v"]),
    _launch,
)
