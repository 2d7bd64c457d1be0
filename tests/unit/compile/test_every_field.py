"""Fields that few configurations use arrive in the Snapshot as they were written."""

from pathlib import Path

from tidegate.compile import NoPrices, compile_snapshot
from tidegate.config import load
from tidegate.core.snapshot import HashOn
from tidegate.core.usage import Rates

ENV = {"KEY": "a-key-of-twenty-characters", "UP": "an upstream's key"}
TEXT = """
kind: Provider
metadata: {name: house, annotations: {owner: "the harbour master"}}
spec:
  dialect: openai
  baseUrl: https://llm.example.com/v1
  credentials: [{name: first, apiKey: {env: UP}}]
  caFile: /etc/tidegate/ca.pem
  clientCertFile: /etc/tidegate/client.pem
  clientKeyFile: /etc/tidegate/client.key
  pricedAs: openai
---
kind: Model
metadata: {name: everything}
spec:
  targets:
    - {name: a, provider: house, model: one}
    - {name: b, provider: house, model: two}
  routing: {strategy: hash, hashOn: {by: consumer, loadFactor: 1.5}}
  price:
    inputPerMillion: 1
    outputPerMillion: 2
    cachedInputPerMillion: 0.1
    cacheWritePerMillion: 1.25
    cacheWriteLongPerMillion: 2.5
    audioInputPerMillion: 3
    imageInputPerMillion: 4
    audioOutputPerMillion: 5
    imageOutputPerMillion: 6
    reasoningPerMillion: 7
    perRequest: 0.000000001
---
kind: Team
metadata: {name: harbour}
---
kind: Consumer
metadata: {name: clerk}
spec:
  team: harbour
  keys: [{value: {env: KEY}}]
  limits: {tokensPerHour: 5000}
"""


def test_rare_fields(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(TEXT)
    snapshot = compile_snapshot(load(file, ENV), env=ENV, price_book=NoPrices())
    (provider,), (model,), (consumer,) = snapshot.providers, snapshot.models, snapshot.consumers
    assert provider.ca_file == "/etc/tidegate/ca.pem"
    assert (provider.client_cert_file, provider.client_key_file) == (
        "/etc/tidegate/client.pem",
        "/etc/tidegate/client.key",
    )
    assert model.routing.hash_on == HashOn(by="consumer", load_factor=1.5)
    price = model.targets[0].price
    assert price is not None
    assert price.per_request_nano == 1
    assert price.rates == Rates(
        input=1_000_000_000,
        output=2_000_000_000,
        cache_read=100_000_000,
        cache_write_5m=1_250_000_000,
        cache_write_1h=2_500_000_000,
        input_audio=3_000_000_000,
        input_image=4_000_000_000,
        output_audio=5_000_000_000,
        output_image=6_000_000_000,
        reasoning=7_000_000_000,
    )
    (bucket,) = [bucket for bucket in consumer.buckets if bucket.kind == "tokens"]
    assert (bucket.limit, bucket.window.seconds) == (5000, 3600)
