"""Small snapshots, views and admissions for tests of decisions."""

from tidegate.core.claims import Bucket
from tidegate.core.snapshot import (
    ConsumerSpec,
    CredentialSpec,
    EndpointRule,
    ModelSpec,
    ProviderSpec,
    RoutingSpec,
    ServerSpec,
    Snapshot,
    TargetSpec,
    Timeouts,
)
from tidegate.core.usage import Price, Rates
from tidegate.core.view import View
from tidegate.decide.admit import Admission
from tidegate.decide.compiled import Compiled
from tidegate.dialects.openai import OpenAI

KEY = b"k" * 32
ONE_CREDENTIAL = (CredentialSpec(id="0", api_key=None),)


def price(dollars: int) -> Price:
    """`dollars` per million tokens in, four times that out."""
    return Price(rates=Rates(input=dollars * 10**9, output=4 * dollars * 10**9), version="test")


def target(
    name: str,
    *,
    priority: int = 0,
    weight: int = 1,
    price: int | None = 2,
    window: int | None = None,
    provisioned: bool = False,
) -> TargetSpec:
    told = None if price is None else globals()["price"](price)
    return TargetSpec(
        name=name,
        provider="p",
        model=name,
        priority=priority,
        weight=weight,
        provisioned=provisioned,
        context_window=window,
        price=told,
    )


def model(
    name: str,
    *targets: TargetSpec,
    routing: RoutingSpec | None = None,
    max_output: int | None = None,
    task: str = "chat",
) -> ModelSpec:
    return ModelSpec(
        name=name, task=task, targets=targets, routing=routing or RoutingSpec(), max_output_tokens=max_output
    )


def compiled(
    *models: ModelSpec,
    buckets: tuple[Bucket, ...] = (),
    credentials: tuple[CredentialSpec, ...] = ONE_CREDENTIAL,
    allowed: frozenset[str] | None = None,
    rules: tuple[EndpointRule, ...] = (),
) -> Compiled:
    provider = ProviderSpec(
        name="p",
        dialect="openai",
        base_url="http://127.0.0.1:1/v1",
        credentials=credentials,
        region=None,
        timeouts=Timeouts(),
    )
    consumer = ConsumerSpec(
        name="c",
        team="t",
        models=frozenset(one.name for one in models) if allowed is None else allowed,
        buckets=buckets,
        endpoint_rules=rules,
    )
    snapshot = Snapshot(
        version="v",
        providers=(provider,),
        models=models,
        consumers=(consumer,),
        keys=((KEY, 0),),
        server=ServerSpec(),
    )
    return Compiled.of(snapshot)


def view(name: str = "m", body: bytes | None = None) -> View:
    return OpenAI().read("chat", body or b'{"model":"%s","messages":[]}' % name.encode())


def admitted(*, hard_budget: bool = False, needed: int = 10, rule: EndpointRule | None = None) -> Admission:
    route = compiled(model("m", target("a"))).routes["m"]
    return Admission(route, [], hard_budget, None, needed, rule)
