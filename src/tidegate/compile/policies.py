"""What the policies in scope add to a consumer: buckets, endpoint rules, whether its calls are logged."""

from tidegate.compile.access import Access
from tidegate.compile.buckets import limit_buckets
from tidegate.config.consumer import Consumer
from tidegate.config.policy import AIAPIGatewayPolicy
from tidegate.config.resources import Resources
from tidegate.core.claims import Bucket
from tidegate.core.snapshot import EndpointRule


def policies_of(consumer: Consumer, resources: Resources, access: Access) -> list[AIAPIGatewayPolicy]:
    """Those in whose scope it is, in the order written."""
    return [one for one in resources.policies if consumer.metadata.name in access.consumers_in[one.metadata.name]]


def policy_buckets(consumer: str, policies: list[AIAPIGatewayPolicy]) -> list[Bucket]:
    """Rate limits of the policies that hold for every model."""
    buckets: list[Bucket] = []
    for policy in policies:
        if policy.spec.rate_limit is not None and policy.spec.scope.models is None:
            owner = f"policy/{policy.metadata.name}/consumer/{consumer}"
            buckets.extend(limit_buckets(owner, policy.spec.rate_limit))
    return buckets


def policy_model_buckets(
    consumer: str, policies: list[AIAPIGatewayPolicy], access: Access
) -> tuple[tuple[str, tuple[Bucket, ...]], ...]:
    """(model, its buckets): rate limits of the policies scoped to models, one set of counters for each model."""
    by_model: dict[str, list[Bucket]] = {}
    for policy in policies:
        if policy.spec.rate_limit is None or policy.spec.scope.models is None:
            continue
        for model in access.models_in[policy.metadata.name] & access.callable_by[consumer]:
            owner = f"policy/{policy.metadata.name}/consumer/{consumer}/model/{model}"
            by_model.setdefault(model, []).extend(limit_buckets(owner, policy.spec.rate_limit))
    return tuple((model, tuple(buckets)) for model, buckets in sorted(by_model.items()))


def endpoint_rules(policies: list[AIAPIGatewayPolicy], access: Access) -> tuple[EndpointRule, ...]:
    """In the order written; the first that matches a call's region is taken."""
    rules: list[EndpointRule] = []
    for policy in policies:
        if policy.spec.endpoint_routing is None:
            continue
        for rule in policy.spec.endpoint_routing.rules:
            is_model = rule.route_to in access.models
            rules.append(
                EndpointRule(
                    region=rule.match.region,
                    model=rule.route_to if is_model else None,
                    provider=None if is_model else rule.route_to,
                    policy=policy.metadata.name,
                )
            )
    return tuple(rules)


def is_logged(policies: list[AIAPIGatewayPolicy]) -> bool:
    """Lint refuses policies that disagree."""
    return all(one.spec.logging is None or one.spec.logging.enabled for one in policies)


def retention_days(resources: Resources) -> int | None:
    """Lint refuses policies that disagree."""
    stated = (one.spec.logging.retention_days for one in resources.policies if one.spec.logging is not None)
    return next((days for days in stated if days is not None), None)
