"""The wire server's settings from a Snapshot's `ServerSpec`."""

import ipaddress

from tidegate.core.snapshot import ServerSpec
from tidegate.wire.cors import CorsSettings
from tidegate.wire.server import ServerSettings, TlsFiles


def wire_settings(spec: ServerSpec) -> ServerSettings:
    cors = spec.cors
    return ServerSettings(
        max_head_bytes=spec.max_head_bytes,
        max_headers=spec.max_headers,
        max_body_bytes=spec.max_body_bytes,
        head_timeout=spec.head_timeout,
        body_timeout=spec.body_timeout,
        idle_timeout=spec.idle_timeout,
        write_stall_timeout=spec.write_stall_timeout,
        max_connections=spec.max_connections,
        trusted_proxies=tuple(ipaddress.ip_network(network) for network in spec.trusted_proxies),
        cors=None
        if cors is None
        else CorsSettings(
            allow_origins=cors.allow_origins,
            allow_headers=cors.allow_headers,
            expose_headers=cors.expose_headers,
            max_age=cors.max_age,
        ),
    )


def tls_files(spec: ServerSpec) -> TlsFiles | None:
    if spec.tls_cert_file is None or spec.tls_key_file is None:
        return None
    return TlsFiles(cert_file=spec.tls_cert_file, key_file=spec.tls_key_file)
