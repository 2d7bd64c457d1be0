"""`kind: Gateway` → ServerSpec. A configuration without one gets the same defaults."""

from tidegate.config.gateway import Gateway, GatewaySettings
from tidegate.core.snapshot import CorsSpec, RemoteMediaSpec, ServerSpec


def server_spec(gateway: Gateway | None) -> ServerSpec:
    spec = GatewaySettings() if gateway is None else gateway.spec
    limits, times, cors, tls, media = spec.limits, spec.timeouts, spec.cors, spec.tls, spec.remote_media
    return ServerSpec(
        max_head_bytes=limits.max_head_bytes,
        max_headers=limits.max_headers,
        max_body_bytes=limits.max_body_bytes,
        head_timeout=times.head,
        body_timeout=times.body,
        idle_timeout=times.idle,
        write_stall_timeout=times.write_stall,
        drain_timeout=times.drain,
        session_timeout=times.session,
        session_idle_timeout=times.session_idle,
        max_connections=limits.max_connections,
        max_calls=limits.max_calls,
        trusted_proxies=spec.trusted_proxies,
        cors=None
        if cors is None
        else CorsSpec(
            allow_origins=cors.allow_origins,
            allow_headers=cors.allow_headers,
            expose_headers=cors.expose_headers,
            max_age=round(cors.max_age),
        ),
        tls_cert_file=None if tls is None else tls.cert_file,
        tls_key_file=None if tls is None else tls.key_file,
        fsync=spec.spool.fsync,
        spool_bytes=spec.spool.size,
        retry_share=spec.retry_share,
        access_log=spec.access_log,
        aws_access=None if spec.aws_access is None else spec.aws_access.secret,
        remote_media=RemoteMediaSpec(
            enabled=media.enabled,
            max_bytes=media.max_bytes,
            timeout=media.timeout,
            ports=media.ports,
            allow_hosts=media.allow_hosts,
            allow_networks=media.allow_networks,
        ),
    )
