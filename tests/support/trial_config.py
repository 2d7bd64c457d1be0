"""The configuration of the fault tests: one provider, patient or not, and a consumer with every kind of limit."""

KEY = "tg-fault-client-key"
UPSTREAM_KEY = "sk-fault-upstream-key"
MODEL = "gpt-4.1"
ENV = {"FAULT_KEY": KEY, "FAULT_UPSTREAM_KEY": UPSTREAM_KEY}


def config(
    port: int,
    *,
    timeouts: str = "{connect: 2s, firstByte: 20s, idle: 20s, total: 60s}",
    routing: str = "{attempts: 1, breaker: {minRequests: 1000000}}",
    limits: str = "{requestsPerMinute: 1000000, tokensPerMinute: 1000000000, concurrent: 10000}",
    usd: str = "1000",
    gateway: str = "{}",
    max_output_tokens: int = 1000,
) -> str:
    """YAML; `port` is the provider's."""
    return f"""
kind: Provider
metadata: {{name: upstream}}
spec:
  dialect: openai
  baseUrl: http://127.0.0.1:{port}/v1
  credentials: [{{apiKey: {{env: FAULT_UPSTREAM_KEY}}}}]
  timeouts: {timeouts}
  maxConnections: 4096
---
kind: Model
metadata: {{name: {MODEL}}}
spec:
  targets: [{{provider: upstream, model: {MODEL}}}]
  routing: {routing}
  maxOutputTokens: {max_output_tokens}
  price: {{inputPerMillion: 2.00, cachedInputPerMillion: 0.50, outputPerMillion: 8.00}}
---
kind: Team
metadata: {{name: trial}}
spec:
  budget: {{usd: {usd}, period: month, timezone: Europe/Berlin}}
---
kind: Consumer
metadata: {{name: trial}}
spec:
  team: trial
  models: ["gpt-*"]
  keys: [{{value: {{env: FAULT_KEY}}}}]
  limits: {limits}
  budget: {{usd: {usd}, period: month}}
---
kind: Gateway
metadata: {{name: gateway}}
spec: {gateway}
"""
