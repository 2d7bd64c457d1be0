"""What the interop tests talk to: addresses, keys, and the gateway's configuration in front of a simulator."""

from dataclasses import dataclass

import msgspec
from tests.support.simulator import SimulatorThread

from tidegate.simulator.behaviour import Profile, default_models, profile_from

CLIENT_KEY = "tg-interop-client"
UPSTREAM_KEY = "sk-interop-upstream"

_PROVIDER = """
kind: Provider
metadata: {{name: {name}}}
spec:
  dialect: openai
  baseUrl: {url}/v1
  credentials: [{{apiKey: {{env: SIM_KEY}}}}]
---"""
_CLIENTS = """
kind: Team
metadata: {name: interop}
---
kind: Consumer
metadata: {name: sdk}
spec:
  team: interop
  keys: [{value: {env: CLIENT_KEY}}]
"""
_MODEL = """
kind: Model
metadata: {{name: "{name}"}}
spec:
  task: {task}
  targets: [{{provider: {provider}, model: "{name}"}}]
  routing: {{attempts: 1}}
  price: {{inputPerMillion: 1.00, cachedInputPerMillion: 0.25, outputPerMillion: 4.00}}
---"""
_TASKS = {
    "gpt-4.1": "chat",
    "gpt-4.1-mini": "chat",
    "meta-llama/Llama-3.1-8B-Instruct": "chat",
    "gpt-3.5-turbo-instruct": "chat",
    "text-embedding-3-small": "embedding",
    "omni-moderation-latest": "moderation",
    "gpt-image-2": "image",
    "gpt-4o-mini-tts": "speech",
    "tts-1": "speech",
    "gpt-4o-transcribe": "transcription",
    "whisper-1": "transcription",
}

TRIALS = tuple(f"trial-{number}" for number in range(40))
"""Models for one test each, with a Provider each: a gateway rests targets and credentials that failed, and so one test
would reach into another."""


@dataclass(frozen=True)
class Service:
    """Where the SDK connects, and the provider that answers in the end."""

    name: str
    base_url: str
    key: str
    simulator: SimulatorThread

    @property
    def is_gateway(self) -> bool:
        return self.name == "gateway"


def gateway_config(provider_url: str) -> str:
    """Every model of the simulator that the tests use, and one consumer. Keys: SIM_KEY, CLIENT_KEY."""
    documents = [_PROVIDER.format(name="sim", url=provider_url)]
    documents += [_MODEL.format(name=name, task=task, provider="sim") for name, task in _TASKS.items()]
    documents += [_PROVIDER.format(name=f"sim-{name}", url=provider_url) for name in TRIALS]
    documents += [_MODEL.format(name=name, task="chat", provider=f"sim-{name}") for name in TRIALS]
    return "".join([*documents, _CLIENTS])


def provider_profile() -> Profile:
    """The default models and the trials; one key is wrong."""
    tasks = {
        name: {"task": model.task, "legacy": model.legacy, "predictor": msgspec.to_builtins(model.predictor)}
        for name, model in default_models().items()
    }
    trials = {name: {"task": "chat"} for name in TRIALS}
    return profile_from({"models": {**tasks, **trials}, "keys": {"sk-wrong": "401"}})
