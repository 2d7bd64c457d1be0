"""A clean configuration, and for each lint rule how to make it fail and how to come close without failing.

An edit replaces a text of BASE that must be there; an edit with an empty text appends.
"""

from typing import NamedTuple

BASE = """\
kind: Provider
metadata: {name: east}
spec:
  dialect: openai
  baseUrl: https://east.example.com/v1
  credentials: [{apiKey: {env: EAST_KEY}, weight: 1}]
  timeouts: {connect: 5s}
---
kind: Provider
metadata: {name: west}
spec: {dialect: azure-openai, baseUrl: "https://west.example.com", apiVersion: "2026-01-01"}
---
kind: Model
metadata: {name: large}
spec:
  targets:
    - {provider: east, model: large-1, priority: 0, weight: 2}
    - {provider: west, model: large-2, priority: 1, weight: 1}
  routing: {strategy: weighted, fallbacks: [small]}
  price: {inputPerMillion: 2, outputPerMillion: 8}
  maxOutputTokens: 1000
---
kind: Model
metadata: {name: small}
spec:
  targets: [{provider: east, model: small-1}]
  price: {inputPerMillion: 0.1, outputPerMillion: 0.4}
  maxOutputTokens: 1000
---
kind: Model
metadata: {name: vectors}
spec:
  task: embedding
  targets: [{provider: east, model: vectors-1}]
  price: {inputPerMillion: 0.1}
---
kind: Team
metadata: {name: support}
spec:
  models: ["*"]
  limits: {requestsPerMinute: 1000}
  budget: {usd: 500, period: month}
---
kind: Consumer
metadata: {name: chatbot, labels: {region: EU}}
spec:
  team: support
  models: [large, "s*", vectors]
  keys: [{value: {env: CHATBOT_KEY}}]
  limits: {requestsPerMinute: 60, tokensPerMinute: 10000, tokensPerDay: 100000}
  budget: {usd: 100, period: month}
"""

ENV = {
    "EAST_KEY": "an upstream key",
    "CHATBOT_KEY": "chatbot-0123456789abcdef",
    "OTHER_KEY": "another-0123456789abcdef",
}

Edit = tuple[str, str]


class Example(NamedTuple):
    failing: tuple[Edit, ...]
    clean: tuple[Edit, ...]


def edited(edits: tuple[Edit, ...]) -> str:
    text = BASE
    for old, new in edits:
        assert old in text, f"not in the base configuration: {old}"
        text = text.replace(old, new, 1) if old else f"{text}---\n{new}\n"
    return text


def policy(spec: str, name: str = "p") -> Edit:
    return "", f"kind: AIAPIGatewayPolicy\nmetadata: {{name: {name}}}\nspec: {spec}"


def rules(*pairs: str, scope: str = "{}") -> str:
    listed = ", ".join(
        f"{{match: {{region: {region}}}, routeTo: {target}}}" for region, target in (one.split(">") for one in pairs)
    )
    return f"{{scope: {scope}, endpointRouting: {{rules: [{listed}]}}}}"


def consumer(name: str, spec: str) -> Edit:
    return "", f"kind: Consumer\nmetadata: {{name: {name}}}\nspec: {spec}"


ROUTING = "routing: {strategy: weighted, fallbacks: [small]}"
LIMITS = "limits: {requestsPerMinute: 60, tokensPerMinute: 10000, tokensPerDay: 100000}"
OWN_BUDGET = "budget: {usd: 100, period: month}"
TEAM_BUDGET = "budget: {usd: 500, period: month}"
OTHER = consumer("other", "{team: support, keys: [{value: {env: OTHER_KEY}}]}")


def routing(text: str) -> tuple[Edit, ...]:
    return ((ROUTING, f"routing: {{{text}}}"),)


def limits(text: str) -> tuple[Edit, ...]:
    return ((LIMITS, f"limits: {{{text}}}"),)


def budget(text: str) -> tuple[Edit, ...]:
    return ((OWN_BUDGET, f"budget: {text}"),)


SIGNING = ("{apiKey: {env: EAST_KEY}", "{accessKeyId: AKIA1, secretAccessKey: {env: EAST_KEY}")
BEDROCK = ("dialect: openai\n", "dialect: bedrock\n")
CHAIN = ("{apiKey: {env: EAST_KEY}", "{awsChain: true")
METADATA = ("{apiKey: {env: EAST_KEY}", "{metadataServer: true")
ACCOUNT = ("{apiKey: {env: EAST_KEY}", "{serviceAccount: {env: EAST_KEY}")
ACCOUNT_UNSET = ("{apiKey: {env: UNSET}", "{serviceAccount: {env: UNSET}")
VERTEX_ONLY = ("dialect: openai\n", "dialect: vertex\n")
VERTEX = ("dialect: openai\n", "dialect: vertex\n  project: tides\n")
REGION = ("  baseUrl: https://east", "  region: eu-west-1\n  baseUrl: https://east")

EXAMPLES: dict[str, Example] = {
    "unknown-provider": Example((("{provider: east, model: small-1}", "{provider: esat, model: small-1}"),), ()),
    "unknown-team": Example((("team: support\n", "team: suport\n"),), ()),
    "unknown-fallback": Example(routing("fallbacks: [large]"), routing("fallbacks: [small]")),
    "unknown-route": Example((policy(rules("EU>nowhere")),), (policy(rules("EU>small")),)),
    "fallback-loop": Example(
        (("model: small-1}]\n", "model: small-1}]\n  routing: {fallbacks: [large]}\n"),),
        (),
    ),
    "fallback-of-another-task": Example(routing("fallbacks: [vectors]"), routing("fallbacks: [small]")),
    "duplicate-target": Example(
        (("{provider: west, model: large-2,", "{provider: east, model: large-1,"),),
        (("{provider: west, model: large-2,", "{name: again, provider: east, model: large-1,"),),
    ),
    "unused-provider": Example((("{provider: west, model: large-2,", "{provider: east, model: large-2,"),), ()),
    "unused-team": Example((("", "kind: Team\nmetadata: {name: idle}"),), ()),
    "credential-weights-all-zero": Example(
        (("{env: EAST_KEY}, weight: 1}", "{env: EAST_KEY}, weight: 0}"),),
        (("{env: EAST_KEY}, weight: 1}", "{env: EAST_KEY}, weight: 0}, {apiKey: {env: OTHER_KEY}}"),),
    ),
    "duplicate-credential": Example(
        (("[{apiKey: {env: EAST_KEY}", "[{name: a}, {name: a, apiKey: {env: EAST_KEY}"),),
        (("[{apiKey: {env: EAST_KEY}", "[{name: b}, {name: a, apiKey: {env: EAST_KEY}"),),
    ),
    "api-version-unused": Example((("dialect: openai\n", "dialect: openai\n  apiVersion: v1\n"),), ()),
    "access-key-unused": Example((SIGNING, REGION), (SIGNING, REGION, BEDROCK)),
    "access-key-without-region": Example((SIGNING, BEDROCK), (SIGNING, REGION, BEDROCK)),
    "google-credential-unused": Example((METADATA,), (METADATA, VERTEX)),
    "vertex-without-project": Example((METADATA, VERTEX_ONLY), (METADATA, VERTEX)),
    "bad-service-account": Example((ACCOUNT, VERTEX), (("EAST_KEY", "UNSET"), ACCOUNT_UNSET, VERTEX)),
    "timeout-beyond-total": Example(
        (("{connect: 5s}", "{connect: 5s, total: 4s}"),),
        (("{connect: 5s}", "{connect: 5s, total: 5s}"),),
    ),
    "zero-timeout": Example((("{connect: 5s}", "{connect: 0s}"),), (("{connect: 5s}", "{connect: 1ms}"),)),
    "unset-credential": Example((("EAST_KEY", "UNSET"),), ()),
    "invalid-trusted-proxy": Example(
        (("", "kind: Gateway\nspec: {trustedProxies: [10.0.0.1/8]}"),),
        (("", 'kind: Gateway\nspec: {trustedProxies: [10.0.0.0/8, "::1"]}'),),
    ),
    "unfit-access-secret": Example(
        (("", "kind: Gateway\nspec: {awsAccess: {secret: short}}"),),
        (("", f"kind: Gateway\nspec: {{awsAccess: {{secret: {'x' * 32}}}}}"),),
    ),
    "invalid-allowed-network": Example(
        (("", "kind: Gateway\nspec: {remoteMedia: {allowNetworks: [intranet]}}"),),
        (("", "kind: Gateway\nspec: {remoteMedia: {allowNetworks: [10.1.0.0/16]}}"),),
    ),
    "no-targets": Example((("targets: [{provider: east, model: small-1}]", "targets: []"),), ()),
    "weights-all-zero": Example(
        (("priority: 1, weight: 1", "priority: 1, weight: 0"),),
        (("priority: 0, weight: 2", "priority: 1, weight: 0"),),
    ),
    "impossible-breaker": Example(
        routing("breaker: {errorRate: 1.5, minRequests: 0, window: 0s, openFor: 0s}"),
        routing("breaker: {errorRate: 1, minRequests: 1, window: 1s, openFor: 1s}"),
    ),
    "attempts-without-retry": Example(routing("attempts: 2, retryOn: []"), routing("attempts: 1, retryOn: []")),
    "hash-without-header": Example(
        routing("strategy: hash, hashOn: {by: header}"),
        routing("strategy: hash, hashOn: {by: header, header: x-session}"),
    ),
    "hash-settings-unused": Example(
        routing("strategy: weighted, hashOn: {by: consumer}"),
        routing("strategy: hash, hashOn: {by: consumer}"),
    ),
    "spill-without-provisioned": Example(
        routing("spillAt: 0.9"),
        (
            (ROUTING, "routing: {spillAt: 0.9}"),
            ("model: large-1, priority: 0", "model: large-1, capacity: provisioned, priority: 0"),
        ),
    ),
    "output-bound-without-output": Example((("task: embedding\n", "task: embedding\n  maxOutputTokens: 5\n"),), ()),
    "single-priority-group": Example((("priority: 0, weight: 2", "priority: 1, weight: 2"),), ()),
    "attempts-beyond-targets": Example(routing("attempts: 3"), routing("attempts: 2")),
    "allow-list-matches-nothing": Example(
        (('models: [large, "s*", vectors]', 'models: [large, "z*", vectors]'),),
        (('models: [large, "s*", vectors]', 'models: ["?arge", "s*", vectors]'),),
    ),
    "passthrough-matches-nothing": Example(
        (('  models: ["*"]\n', '  models: ["*"]\n  passthrough: ["w?"]\n'),),
        (('  models: ["*"]\n', '  models: ["*"]\n  passthrough: ["w*"]\n'),),
    ),
    "consumer-may-call-nothing": Example((('models: [large, "s*", vectors]', "models: []"),), ()),
    "model-nobody-may-call": Example(
        (('models: [large, "s*", vectors]', "models: [large]"),),
        (('models: [large, "s*", vectors]', "models: [large, vectors]"),),
    ),
    "unset-key": Example((("CHATBOT_KEY", "UNSET"),), (("{value: {env: CHATBOT_KEY}}", f"{{sha256: {'a' * 64}}}"),)),
    "same-key-twice": Example(
        (consumer("other", "{team: support, keys: [{value: chatbot-0123456789abcdef}]}"),),
        (OTHER,),
    ),
    "short-key": Example((("{env: CHATBOT_KEY}", "short"),), (("{env: CHATBOT_KEY}", "x" * 20),)),
    "consumer-without-keys": Example((("[{value: {env: CHATBOT_KEY}}]", "[]"),), ()),
    "limit-of-zero": Example(limits("concurrent: 0"), limits("concurrent: 1")),
    "limit-never-reached": Example(
        limits("tokensPerMinute: 100, tokensPerDay: 100"),
        limits("tokensPerMinute: 100, tokensPerDay: 143999, requestsPerDay: 1"),
    ),
    "limit-above-team": Example(limits("requestsPerMinute: 1001"), limits("requestsPerMinute: 1000")),
    "budget-of-zero": Example(budget("{usd: 0, period: day}"), budget("{usd: 0, period: day, soft: true}")),
    "budgets-of-one-period": Example(
        budget("[{usd: 5, period: day}, {usd: 6, period: day}]"),
        budget("[{usd: 5, period: day}, {usd: 6, period: week}]"),
    ),
    "budget-under-any-call": Example(
        (*budget("{usd: 0.0003, period: day}"), ('models: [large, "s*", vectors]', "models: [large, small]")),
        (*budget("{usd: 0.0004, period: day}"), ('models: [large, "s*", vectors]', "models: [large, small]")),
    ),
    "budget-under-one-call": Example(budget("{usd: 0.007, period: day}"), budget("{usd: 0.008, period: day}")),
    "budget-above-team": Example(budget("{usd: 501, period: month}"), budget("{usd: 501, period: week}")),
    "unpriced-under-hard-budget": Example(
        (("  price: {inputPerMillion: 0.1}\n", ""),),
        (
            ("  price: {inputPerMillion: 0.1}\n", ""),
            (OWN_BUDGET, ""),
            (TEAM_BUDGET, "budget: {usd: 500, period: month, soft: true}"),
        ),
    ),
    "unpriced-for-some": Example(
        (
            ("  price: {inputPerMillion: 2, outputPerMillion: 8}\n", ""),
            ("model: large-1,", "model: large-1, price: {inputPerMillion: 2, outputPerMillion: 8},"),
            ("", "kind: Team\nmetadata: {name: free}"),
            consumer("other", "{team: free, keys: [{value: {env: OTHER_KEY}}]}"),
        ),
        (("", "kind: Team\nmetadata: {name: free}"), consumer("other", "{team: free}")),
    ),
    "unbounded-under-hard-budget": Example(
        (
            ("task: embedding", "task: speech"),
            ("{inputPerMillion: 0.1}", "{inputPerMillion: 0.1, outputPerMillion: 8}"),
        ),
        (
            ("task: embedding", "task: speech\n  maxOutputTokens: 9000"),
            ("{inputPerMillion: 0.1}", "{inputPerMillion: 0.1, outputPerMillion: 8}"),
        ),
    ),
    "incomplete-price": Example(
        (("{inputPerMillion: 2, outputPerMillion: 8}", "{inputPerMillion: 2}"),),
        (("{inputPerMillion: 2, outputPerMillion: 8}", "{perRequest: 0.002}"),),
    ),
    "policy-without-rules": Example((policy("{rateLimit: {}}"),), (policy("{rateLimit: {concurrent: 5}}"),)),
    "scope-matches-nothing": Example(
        (policy("{scope: {teams: [sales]}, logging: {enabled: false}}"),),
        (policy('{scope: {teams: ["sup*"], consumers: [chatbot]}, logging: {enabled: false}}'),),
    ),
    "limit-on-model-nobody-may-call": Example(
        (
            ('models: [large, "s*", vectors]', "models: [large]"),
            policy("{scope: {models: [small]}, rateLimit: {concurrent: 5}}"),
        ),
        (policy("{scope: {models: [small]}, rateLimit: {concurrent: 5}}"),),
    ),
    "models-scope-unused": Example(
        (policy("{scope: {models: [small]}, rateLimit: {concurrent: 5}, logging: {enabled: false}}"),),
        (policy("{scope: {consumers: [chatbot]}, logging: {enabled: false}}"),),
    ),
    "retention-with-scope": Example(
        (policy("{scope: {teams: [support]}, logging: {retentionDays: 90}}"),),
        (policy("{logging: {retentionDays: 90}}"),),
    ),
    "contradicting-retention": Example(
        (policy("{logging: {retentionDays: 90}}", "a"), policy("{logging: {retentionDays: 30}}", "b")),
        (policy("{logging: {retentionDays: 90}}", "a"), policy("{logging: {enabled: true}}", "b")),
    ),
    "contradicting-logging": Example(
        (policy("{logging: {enabled: false}}", "a"), policy("{logging: {enabled: true}}", "b")),
        (
            OTHER,
            policy("{scope: {consumers: [other]}, logging: {enabled: false}}", "a"),
            policy("{scope: {consumers: [chatbot]}, logging: {enabled: true}}", "b"),
        ),
    ),
    "region-of-nobody": Example(
        (policy(rules("US>small")),),
        (policy(rules("eu>small")),),
    ),
    "shadowed-endpoint-rule": Example(
        (policy(rules("EU>small", "eu>large")),),
        (OTHER, policy(rules("EU>small", scope="{consumers: [other]}"), "a"), policy(rules("EU>large"), "b")),
    ),
    "route-without-target": Example(
        (('models: [large, "s*", vectors]', "models: [small]"), policy(rules("EU>west"))),
        (policy(rules("EU>west")),),
    ),
}
