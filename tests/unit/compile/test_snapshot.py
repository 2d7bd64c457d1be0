"""Resources → Snapshot: names, orders, buckets, keys, version."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from tests.support.lint_examples import BASE, ENV, OTHER, consumer, edited, policy, rules

from tidegate.compile import NoPrices, compile_snapshot
from tidegate.config import ConfigErrors, from_environment, load
from tidegate.core.claims import Bucket, Window
from tidegate.core.snapshot import CredentialSpec, EndpointRule, SecretRef, Snapshot


def compiled(text: str, folder: Path) -> Snapshot:
    file = folder / "config.yaml"
    file.write_text(text)
    return compile_snapshot(load(file, ENV), env=ENV, price_book=NoPrices())


def consumer_of(snapshot: Snapshot, name: str = "chatbot"):
    return next(one for one in snapshot.consumers if one.name == name)


def test_a_snapshot_survives_its_own_encoding(tmp_path: Path) -> None:
    snapshot = compiled(BASE, tmp_path)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot) == snapshot


def test_the_version_is_the_content(tmp_path: Path) -> None:
    documents = BASE.split("---\n")
    version = compiled(BASE, tmp_path).version
    assert len(version) == 16
    assert compiled("---\n".join(reversed(documents)), tmp_path).version == version
    assert compiled(BASE.replace("usd: 100", "usd: 99"), tmp_path).version != version


def test_secrets_of_upstreams_stay_references(tmp_path: Path) -> None:
    snapshot = compiled(BASE, tmp_path)
    assert snapshot.providers[0].credentials == (CredentialSpec(id="0", api_key=SecretRef(env="EAST_KEY")),)
    assert snapshot.providers[1].credentials == (CredentialSpec(id="0", api_key=None),)
    assert b"an upstream key" not in msgspec.msgpack.encode(snapshot)


def test_keys_are_digests_of_consumers(tmp_path: Path) -> None:
    snapshot = compiled(edited((OTHER,)), tmp_path)
    names = {digest: snapshot.consumers[index].name for digest, index in snapshot.keys}
    assert names == {
        sha256(ENV["CHATBOT_KEY"].encode()).digest(): "chatbot",
        sha256(ENV["OTHER_KEY"].encode()).digest(): "other",
    }
    assert ENV["CHATBOT_KEY"].encode() not in msgspec.msgpack.encode(snapshot)


def test_allow_lists_are_names(tmp_path: Path) -> None:
    snapshot = compiled(edited((OTHER, ('models: ["*"]', 'models: ["la*", vectors, small]'))), tmp_path)
    assert consumer_of(snapshot).models == {"large", "small", "vectors"}
    narrowed = compiled(edited((OTHER, ('models: [large, "s*", vectors]', 'models: ["l?rge"]'))), tmp_path)
    assert consumer_of(narrowed).models == {"large"}
    assert consumer_of(narrowed, "other").models == {"large", "small", "vectors"}


def test_buckets_have_stable_keys_in_a_fixed_order(tmp_path: Path) -> None:
    text = edited((policy("{rateLimit: {requestsPerHour: 7, concurrent: 3}}"),))
    buckets = consumer_of(compiled(text, tmp_path)).buckets
    assert [one.key for one in buckets] == [
        "consumer/chatbot/requests/60s",
        "consumer/chatbot/tokens/60s",
        "consumer/chatbot/tokens/86400s",
        "policy/p/consumer/chatbot/requests/3600s",
        "policy/p/consumer/chatbot/concurrency",
        "team/support/requests/60s",
        "consumer/chatbot/money/month",
        "team/support/money/month",
    ]
    assert buckets[1] == Bucket(
        key="consumer/chatbot/tokens/60s", kind="tokens", limit=10_000, window=Window(seconds=60)
    )
    assert buckets[4] == Bucket(
        key="policy/p/consumer/chatbot/concurrency", kind="concurrency", limit=3, window=Window()
    )
    assert buckets[6] == Bucket(
        key="consumer/chatbot/money/month", kind="money", limit=100_000_000_000, window=Window(period="month")
    )


def test_a_policy_scoped_to_models_has_counters_for_each(tmp_path: Path) -> None:
    text = edited((OTHER, policy('{scope: {models: ["*l*"], consumers: [chatbot]}, rateLimit: {requestsPerDay: 5}}')))
    snapshot = compiled(text, tmp_path)
    key = "policy/p/consumer/chatbot/model/{}/requests/86400s"
    assert [(name, [one.key for one in buckets]) for name, buckets in consumer_of(snapshot).model_buckets] == [
        ("large", [key.format("large")]),
        ("small", [key.format("small")]),
    ]
    assert consumer_of(snapshot, "other").model_buckets == ()


def test_endpoint_rules_lead_to_a_model_else_to_a_provider(tmp_path: Path) -> None:
    consumer = consumer_of(compiled(edited((OTHER, policy(rules("EU>small", "US>west")))), tmp_path))
    assert consumer.region == "EU"
    assert consumer.endpoint_rules == (
        EndpointRule(region="EU", model="small", policy="p"),
        EndpointRule(region="US", provider="west", policy="p"),
    )


def test_logging_and_retention(tmp_path: Path) -> None:
    edits = (OTHER, policy("{scope: {consumers: [other]}, logging: {enabled: false}}"))
    snapshot = compiled(edited(edits), tmp_path)
    assert (consumer_of(snapshot).log, consumer_of(snapshot, "other").log) == (True, False)
    assert snapshot.retention_days is None
    assert compiled(edited((policy("{logging: {retentionDays: 90}}"),)), tmp_path).retention_days == 90


def test_prices_of_the_configuration(tmp_path: Path) -> None:
    text = BASE.replace(
        "{inputPerMillion: 2, outputPerMillion: 8}",
        "{inputPerMillion: 0.1, outputPerMillion: 8.000000001, cachedInputPerMillion: 0.05, "
        "cacheWritePerMillion: 0.125, perRequest: 0.003}",
    )
    model = next(one for one in compiled(text, tmp_path).models if one.name == "large")
    price = model.targets[0].price
    assert price is not None and price.version == "config" and price.per_request_nano == 3_000_000
    rates = price.rates
    assert (rates.input, rates.output, rates.cache_read) == (100_000_000, 8_000_000_001, 50_000_000)
    assert (rates.cache_write_5m, rates.cache_write_1h, rates.reasoning) == (125_000_000, 125_000_000, None)


def test_a_targets_own_price_wins(tmp_path: Path) -> None:
    text = BASE.replace(
        "model: large-2,", "model: large-2, contextWindow: 9, price: {inputPerMillion: 1, outputPerMillion: 1},"
    )
    first, second = next(one for one in compiled(text, tmp_path).models if one.name == "large").targets
    assert first.price is not None and first.price.rates.input == 2_000_000_000
    assert second.price is not None and second.price.rates.input == 1_000_000_000
    assert (first.name, first.context_window, second.context_window) == ("east/large-1", None, 9)


def test_errors_refuse_the_whole_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        compiled(BASE.replace("team: support\n", "team: nobody\n").replace("{env: CHATBOT_KEY}", "short"), tmp_path)
    assert [(one.severity, one.rule) for one in caught.value.findings] == [
        ("warning", "unused-team"),
        ("error", "unknown-team"),
        ("warning", "short-key"),
    ]


def test_gateway_settings_are_mapped_one_by_one(tmp_path: Path) -> None:
    settings = """kind: Gateway
spec:
  limits: {maxHeadBytes: 4KiB, maxHeaders: 7, maxBodyBytes: 1MiB, maxConnections: 8, maxCalls: 9}
  timeouts: {head: 1s, body: 2s, idle: 3s, writeStall: 4s, drain: 500ms, session: 5s, sessionIdle: 6s}
  trustedProxies: ["::1"]
  cors: {allowOrigins: ["*"], allowHeaders: [a], exposeHeaders: [b], maxAge: 1h}
  tls: {certFile: c.pem, keyFile: k.pem}
  spool: {fsync: always, size: 2MB}
  retryShare: 0.5
  accessLog: false
  awsAccess: {secret: 0123456789abcdef0123456789abcdef}
  remoteMedia:
    {enabled: false, maxBytes: 1MiB, timeout: 1s, ports: [8443], allowHosts: [a.example], allowNetworks: [10.0.0.0/8]}
"""
    server = compiled(edited((("", settings),)), tmp_path).server
    default = compiled(BASE, tmp_path).server
    for field in msgspec.structs.fields(server):
        assert getattr(server, field.name) != getattr(default, field.name), field.name
    for field in msgspec.structs.fields(server.remote_media):
        assert getattr(server.remote_media, field.name) != getattr(default.remote_media, field.name), field.name
    assert (server.max_head_bytes, server.spool_bytes, server.drain_timeout) == (4096, 2_000_000, 0.5)


def test_the_defaults_of_both_layers_agree(tmp_path: Path) -> None:
    server = compiled(BASE, tmp_path).server
    assert server == type(server)()
    routing = next(one for one in compiled(BASE, tmp_path).models if one.name == "small").routing
    assert routing == type(routing)()


def test_the_environment_alone_makes_a_gateway() -> None:
    env = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1/", "GROQ_API_KEY": "k"}
    snapshot = compile_snapshot(from_environment(env, key="x" * 40), env=env, price_book=NoPrices())
    assert [(one.name, one.base_url) for one in snapshot.providers] == [
        ("groq", "https://api.groq.com/openai/v1"),
        ("openai", "http://127.0.0.1:1/v1"),
    ]
    assert {"gpt-4.1-mini", "text-embedding-3-small", "omni-moderation-latest"} <= snapshot.consumers[0].models
    assert snapshot.keys == ((sha256(b"x" * 40).digest(), 0),)
    assert snapshot.consumers[0].buckets == ()


def test_the_environment_names_what_it_lacks() -> None:
    with pytest.raises(ConfigErrors, match="OPENAI_API_KEY"):
        from_environment({"OPENAI_API_KEY": ""})
    with pytest.raises(ConfigErrors, match="TIDEGATE_API_KEY"):
        from_environment({"OPENAI_API_KEY": "k"})


def test_a_consumer_never_gets_more_than_its_team(tmp_path: Path) -> None:
    snapshot = compiled(
        edited((OTHER, ('models: ["*"]', "models: [small]"), ('models: [large, "s*", vectors]', 'models: ["*"]'))),
        tmp_path,
    )
    assert consumer_of(snapshot).models == consumer_of(snapshot, "other").models == {"small"}


def test_a_policy_for_a_team_leaves_others_alone(tmp_path: Path) -> None:
    edits = (
        ("", "kind: Team\nmetadata: {name: sales}"),
        consumer("seller", "{team: sales, keys: [{value: {env: OTHER_KEY}}]}"),
        policy("{scope: {teams: [sales]}, rateLimit: {concurrent: 1}}"),
    )
    snapshot = compiled(edited(edits), tmp_path)
    assert [one.key for one in consumer_of(snapshot, "seller").buckets] == ["policy/p/consumer/seller/concurrency"]
    assert not any(one.key.startswith("policy/") for one in consumer_of(snapshot).buckets)


def test_the_version_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Sets have another order in each process, the version must not."""
    (tmp_path / "config.yaml").write_text(BASE)
    code = (
        "import sys, os; from pathlib import Path; from tidegate.config import load\n"
        "from tidegate.compile import NoPrices, compile_snapshot\n"
        "resources = load(Path(sys.argv[1]), os.environ)\n"
        "print(compile_snapshot(resources, env=os.environ, price_book=NoPrices()).version)"
    )
    versions = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**ENV, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in range(3)
    }
    assert versions == {compiled(BASE, tmp_path).version}


@pytest.mark.parametrize(
    ("spec", "serves"),
    [
        ("dialect: openai, baseUrl: 'https://api.openai.com/v1'", True),
        ("dialect: openai, baseUrl: 'https://eu.api.openai.com/v1'", True),
        ("dialect: openai, baseUrl: 'https://api.openai.com.example.org/v1'", False),
        ("dialect: openai, baseUrl: 'https://example.org/api.openai.com'", False),
        ("dialect: openai, baseUrl: 'https://example.org/v1', quirks: [responses]", True),
        ("dialect: azure-openai, baseUrl: 'https://x.openai.azure.com'", True),
        ("dialect: azure-openai, baseUrl: 'https://x.openai.azure.com', apiVersion: '2024-10-21'", False),
    ],
)
def test_who_serves_responses_is_known(spec: str, serves: bool, tmp_path: Path) -> None:
    text = BASE + f"---\nkind: Provider\nmetadata: {{name: further}}\nspec: {{{spec}}}\n"
    provider = next(one for one in compiled(text, tmp_path).providers if one.name == "further")
    assert ("responses" in provider.quirks) == serves
