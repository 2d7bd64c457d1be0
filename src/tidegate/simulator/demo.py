"""What `tidegate demo` shows: simulated providers, and the resources of a gateway in front of them.

Two providers of which the first fails now and then, three models, and a classifier of flowers behind a third; two teams,
one of them with a few cents a day.
"""

from typing import Final

from tidegate.simulator.behaviour import Profile, profile_from

RICH_KEY: Final = "tg-demo-harbour"
POOR_KEY: Final = "tg-demo-jetty"
POOR_BUDGET_USD: Final = "0.04"

_PACE: Final = {"firstByte": "lognormal(120ms, 0.3)", "perToken": "lognormal(6ms, 0.4)"}


def demo_profile() -> Profile:
    """The providers' models. The first call to `gpt-4.1-2025-04-14` fails, and one in five after it."""
    return profile_from(
        {
            "defaults": _PACE,
            "models": {
                "gpt-4.1-2025-04-14": {
                    "tokens": "uniform(30, 60)",
                    "script": ["503"],
                    "errors": {"503": 0.2},
                    "retryAfter": "1s",
                },
                "gpt-4.1-eu": {"tokens": "uniform(30, 60)"},
                "gpt-4.1-mini": {"tokens": "uniform(20, 40)", "perToken": "lognormal(20ms, 0.4)"},
                "text-embedding-3-small": {"task": "embedding"},
                "iris-v3": {
                    "task": "inference",
                    "predictor": {
                        "inputs": [{"name": "petals", "datatype": "FP32", "shape": [-1, 4]}],
                        "outputs": [{"name": "species", "datatype": "BYTES", "shape": [-1]}],
                    },
                },
            },
        }
    )


def demo_resources(simulator_url: str) -> str:
    """The configuration, as YAML."""
    return _RESOURCES.format(url=simulator_url, rich=RICH_KEY, poor=POOR_KEY, budget=POOR_BUDGET_USD)


_RESOURCES: Final = """\
# Written by `tidegate demo`. Change it while the demo runs: it is reloaded.
kind: Provider
metadata: {{name: openai}}
spec:
  dialect: openai
  baseUrl: {url}/v1
  credentials: [{{apiKey: sk-simulated}}]
---
kind: Provider
metadata: {{name: azure-eu}}
spec:
  dialect: azure-openai
  baseUrl: {url}
  apiVersion: "2024-10-21"
  credentials: [{{apiKey: simulated}}]
---
kind: Model                      # fails over from one provider to the other
metadata: {{name: gpt-4.1}}
spec:
  task: chat
  targets:
    - {{provider: openai, model: gpt-4.1-2025-04-14, priority: 0}}
    - {{provider: azure-eu, model: gpt-4.1-eu, priority: 1}}
  # Ten times the real price, so that a few calls are worth a few cents.
  price: {{inputPerMillion: 20.00, cachedInputPerMillion: 5.00, outputPerMillion: 80.00}}
  maxOutputTokens: 100
---
kind: Model                      # cheap
metadata: {{name: gpt-4.1-mini}}
spec:
  task: chat
  targets: [{{provider: openai, model: gpt-4.1-mini}}]
  price: {{inputPerMillion: 0.40, cachedInputPerMillion: 0.10, outputPerMillion: 1.60}}
  maxOutputTokens: 1000
---
kind: Model
metadata: {{name: text-embedding-3-small}}
spec:
  task: embedding
  targets: [{{provider: openai, model: text-embedding-3-small}}]
  price: {{inputPerMillion: 0.02}}
---
kind: Provider
metadata: {{name: classifiers}}
spec: {{dialect: oip, baseUrl: {url}}}
---
kind: Model                      # predictive: priced by the row
metadata: {{name: iris}}
spec:
  task: inference
  targets: [{{provider: classifiers, model: iris-v3}}]
  price: {{inputPerMillion: 100}}
---
kind: Team
metadata: {{name: harbour}}
spec:
  budget: {{usd: 50, period: month}}
---
kind: Team
metadata: {{name: jetty}}
spec:
  budget: {{usd: {budget}, period: day}}
---
kind: Consumer
metadata: {{name: assistant}}
spec:
  team: harbour
  keys: [{{value: {rich}}}]
  limits: {{requestsPerMinute: 600, concurrent: 32}}
---
kind: Consumer
metadata: {{name: experiment}}
spec:
  team: jetty
  keys: [{{value: {poor}}}]
"""
