"""Resources → the immutable Snapshot. References are resolved, defaults filled in, orders fixed."""

from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

from tidegate.compile.access import Access, resolve_access
from tidegate.compile.buckets import budget_buckets, limit_buckets
from tidegate.compile.keys import key_digest
from tidegate.compile.policies import (
    endpoint_rules,
    is_logged,
    policies_of,
    policy_buckets,
    policy_model_buckets,
    retention_days,
)
from tidegate.compile.price_book import GenaiPrices
from tidegate.compile.prices import PriceBook, target_price
from tidegate.compile.rules import lint
from tidegate.compile.rules.references import target_name
from tidegate.compile.server import server_spec
from tidegate.config.consumer import Consumer
from tidegate.config.finding import ConfigErrors
from tidegate.config.model import Model, Routing, Target
from tidegate.config.provider import GLOBAL, Provider, ProviderSettings
from tidegate.config.resources import Resources
from tidegate.core.clock import SystemClock
from tidegate.core.snapshot import (
    BreakerSpec,
    ConsumerSpec,
    CredentialSpec,
    HashOn,
    ModelSpec,
    ProviderSpec,
    RoutingSpec,
    Snapshot,
    TargetSpec,
    Timeouts,
)


def compile_snapshot(resources: Resources, *, env: Mapping[str, str], price_book: PriceBook | None = None) -> Snapshot:
    """`env` is read for consumers' keys only: upstream secrets stay references. `price_book` None: the bundled one.

    Raises ConfigErrors with every finding of the lint rules when one of them is an error.
    """
    book = GenaiPrices(SystemClock()) if price_book is None else price_book
    findings = lint(resources, env=env, price_book=book)
    if any(one.severity == "error" for one in findings):
        raise ConfigErrors(findings)
    access = resolve_access(resources)
    consumers = sorted(resources.consumers, key=lambda one: one.metadata.name)
    snapshot = Snapshot(
        version="",
        providers=tuple(sorted((_provider(one) for one in resources.providers), key=lambda one: one.name)),
        models=tuple(sorted((_model(one, resources, book) for one in resources.models), key=lambda one: one.name)),
        consumers=tuple(_consumer(one, resources, access) for one in consumers),
        keys=_keys(consumers, env),
        server=server_spec(resources.gateway),
        retention_days=retention_days(resources),
    )
    return msgspec.structs.replace(snapshot, version=content_hash(snapshot))


def content_hash(snapshot: Snapshot) -> str:
    """16 hex digits over everything but the version itself: equal configurations have equal versions anywhere."""
    content = msgspec.msgpack.encode(msgspec.structs.replace(snapshot, version=""), order="deterministic")
    return sha256(content).hexdigest()[:16]


def _provider(provider: Provider) -> ProviderSpec:
    spec = provider.spec
    credentials = tuple(
        CredentialSpec(
            id=one.name or str(index),
            api_key=one.api_key,
            weight=one.weight,
            access_key_id=one.access_key_id,
            secret_access_key=one.secret_access_key,
            session_token=one.session_token,
            access_token=one.access_token,
            service_account=one.service_account,
            metadata_server=one.metadata_server,
            aws_chain=one.aws_chain,
        )
        for index, one in enumerate(spec.credentials)
    )
    times = spec.timeouts
    return ProviderSpec(
        name=provider.metadata.name,
        dialect=spec.dialect,
        base_url=_base_url(spec),
        credentials=credentials or (CredentialSpec(id="0", api_key=None),),
        region=spec.region,
        timeouts=Timeouts(connect=times.connect, first_byte=times.first_byte, idle=times.idle, total=times.total),
        api_version=spec.api_version,
        ca_file=spec.ca_file,
        client_cert_file=spec.client_cert_file,
        client_key_file=spec.client_key_file,
        verify_tls=spec.verify_tls,
        max_connections=spec.max_connections,
        headers=tuple(sorted((name.lower(), value) for name, value in spec.headers.items())),
        quirks=_quirks(spec),
    )


def _base_url(spec: ProviderSettings) -> str:
    """Vertex AI's resources are below a project and a location: a base URL may name them itself."""
    url = spec.base_url.rstrip("/")
    if spec.dialect != "vertex" or spec.project is None or "/projects/" in url:
        return url
    return f"{url}/projects/{spec.project}/locations/{spec.region or GLOBAL}"


def _quirks(spec: ProviderSettings) -> frozenset[str]:
    """Those that were written, and what is known of the vendors' own services."""
    if spec.dialect == "azure-openai":
        known = spec.api_version is None  # the older surface has Responses under other versions only
    else:
        host = urlsplit(spec.base_url).hostname or ""
        known = spec.dialect == "openai" and (host == "api.openai.com" or host.endswith(".api.openai.com"))
    return frozenset((*spec.quirks, "responses")) if known else frozenset(spec.quirks)


def _model(model: Model, resources: Resources, book: PriceBook) -> ModelSpec:
    providers = {one.metadata.name: one for one in resources.providers}
    return ModelSpec(
        name=model.metadata.name,
        task=model.spec.task,
        targets=tuple(_target(model, one, providers[one.provider], book) for one in model.spec.targets),
        routing=_routing(model.spec.routing),
        max_output_tokens=model.spec.max_output_tokens,
        max_searches=model.spec.max_searches,
        strict=model.spec.strict,
        labels=tuple(sorted(model.metadata.labels.items())),
    )


def _target(model: Model, target: Target, provider: Provider, book: PriceBook) -> TargetSpec:
    entry = book.find(provider, target.model)
    window = target.context_window
    if window is None and entry is not None:
        window = entry.context_window
    return TargetSpec(
        name=target_name(target),
        provider=target.provider,
        model=target.model,
        priority=target.priority,
        weight=target.weight,
        provisioned=target.capacity == "provisioned",
        context_window=window,
        price=target_price(model, target, entry, provider.spec.dialect),
    )


def _routing(routing: Routing) -> RoutingSpec:
    breaker, hash_on = routing.breaker, routing.hash_on
    return RoutingSpec(
        strategy=routing.strategy,
        attempts=routing.attempts,
        retry_on=frozenset(routing.retry_on),
        fallbacks=routing.fallbacks,
        breaker=BreakerSpec(
            error_rate=breaker.error_rate,
            min_requests=breaker.min_requests,
            window=breaker.window,
            open_for=breaker.open_for,
        ),
        hash_on=HashOn(by=hash_on.by, header=(hash_on.header or "").lower(), load_factor=hash_on.load_factor),
        spill_at=routing.spill_at,
        deadline=routing.deadline,
    )


def _consumer(consumer: Consumer, resources: Resources, access: Access) -> ConsumerSpec:
    name, team = consumer.metadata.name, access.teams[consumer.spec.team]
    policies = policies_of(consumer, resources, access)
    own, shared = f"consumer/{name}", f"team/{team.metadata.name}"
    return ConsumerSpec(
        name=name,
        team=team.metadata.name,
        models=access.callable_by[name],
        passthrough=access.passthrough_of[name],
        shared_objects=frozenset(team.spec.shared_objects),
        buckets=(
            *limit_buckets(own, consumer.spec.limits),
            *policy_buckets(name, policies),
            *limit_buckets(shared, team.spec.limits),
            *budget_buckets(own, consumer.spec.budget),
            *budget_buckets(shared, team.spec.budget),
        ),
        model_buckets=policy_model_buckets(name, policies, access),
        region=consumer.metadata.labels.get("region"),
        endpoint_rules=endpoint_rules(policies, access),
        log=is_logged(policies),
        tags=tuple(sorted(consumer.metadata.labels.items())),
    )


def _keys(consumers: list[Consumer], env: Mapping[str, str]) -> tuple[tuple[bytes, int], ...]:
    """Sorted by digest."""
    return tuple(
        sorted((key_digest(key, env), index) for index, consumer in enumerate(consumers) for key in consumer.spec.keys)
    )
