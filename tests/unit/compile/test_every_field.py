"""Fields that few configurations use arrive in the Snapshot as they were written."""

from pathlib import Path

from tidegate.compile import NoPrices, compile_snapshot
from tidegate.config import load
from tidegate.core.snapshot import HashOn
from tidegate.core.usage import Rates, UnitRates

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
    cachedAudioInputPerMillion: 0.3
    cachedImageInputPerMillion: 0.4
    perRequest: 0.000000001
    perImage: 0.04
    perAudioHour: 0.36
    perMillionCharacters: 15
    perSearch: 0.002
    perWebSearch: 0.01
    perFileSearch: 0.0025
    tiers:
      priority: {inputPerMillion: 2, outputPerMillion: 4, cachedInputPerMillion: 0.2}
      flex: {inputPerMillion: 0.7}
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
        cache_read_audio=300_000_000,
        cache_read_image=400_000_000,
    )
    assert price.units == UnitRates(
        image=40_000_000,
        audio_hour=360_000_000,
        characters=15_000_000_000,
        search=2_000_000,
        web_search=10_000_000,
        file_search=2_500_000,
    )
    assert price.service["priority"].rates == Rates(input=2 * 10**9, output=4 * 10**9, cache_read=2 * 10**8)
    assert price.service["flex"].rates == Rates(input=7 * 10**8, output=0)
    assert price.service["batch"].rates.cache_write_1h == 1_250_000_000  # half, as nothing else is written
    (bucket,) = [bucket for bucket in consumer.buckets if bucket.kind == "tokens"]
    assert (bucket.limit, bucket.window.seconds) == (5000, 3600)
