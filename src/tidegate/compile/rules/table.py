"""The table of all rules, and the function that applies them."""

from collections.abc import Mapping
from typing import Final

from tidegate.compile.prices import PriceBook
from tidegate.compile.rules import aws, callers, limits, money, policies, providers, references, routing, vertex
from tidegate.compile.rules.rule import Rule, Subject
from tidegate.config.finding import Finding
from tidegate.config.resources import Resources

RULES: Final = (
    Rule("error", references.unknown_provider),
    Rule("error", references.unknown_team),
    Rule("error", references.unknown_fallback),
    Rule("error", references.unknown_route),
    Rule("error", references.fallback_loop),
    Rule("error", references.fallback_of_another_task),
    Rule("error", references.duplicate_target),
    Rule("warning", references.unused_provider),
    Rule("warning", references.unused_team),
    Rule("error", providers.credential_weights_all_zero),
    Rule("error", providers.duplicate_credential),
    Rule("error", providers.api_version_unused),
    Rule("error", aws.access_key_unused),
    Rule("error", aws.access_key_without_region),
    Rule("error", vertex.google_credential_unused),
    Rule("error", vertex.vertex_without_project),
    Rule("error", vertex.bad_service_account),
    Rule("error", providers.timeout_beyond_total),
    Rule("error", providers.zero_timeout),
    Rule("warning", providers.unset_credential),
    Rule("error", providers.unfit_access_secret),
    Rule("error", providers.invalid_trusted_proxy),
    Rule("error", providers.invalid_allowed_network),
    Rule("error", routing.no_targets),
    Rule("error", routing.weights_all_zero),
    Rule("error", routing.impossible_breaker),
    Rule("error", routing.attempts_without_retry),
    Rule("error", routing.hash_without_header),
    Rule("error", routing.hash_settings_unused),
    Rule("error", routing.spill_without_provisioned),
    Rule("error", routing.output_bound_without_output),
    Rule("warning", routing.single_priority_group),
    Rule("warning", routing.attempts_beyond_targets),
    Rule("error", callers.allow_list_matches_nothing),
    Rule("error", callers.passthrough_matches_nothing),
    Rule("error", callers.consumer_may_call_nothing),
    Rule("warning", callers.model_nobody_may_call),
    Rule("error", callers.unset_key),
    Rule("error", callers.same_key_twice),
    Rule("warning", callers.short_key),
    Rule("warning", callers.consumer_without_keys),
    Rule("error", limits.limit_of_zero),
    Rule("error", limits.limit_never_reached),
    Rule("warning", limits.limit_above_team),
    Rule("error", money.budget_of_zero),
    Rule("error", money.budgets_of_one_period),
    Rule("error", money.budget_under_any_call),
    Rule("warning", money.budget_under_one_call),
    Rule("warning", money.budget_above_team),
    Rule("error", money.unpriced_under_hard_budget),
    Rule("warning", money.unpriced_for_some),
    Rule("warning", money.unbounded_under_hard_budget),
    Rule("error", money.incomplete_price),
    Rule("error", policies.policy_without_rules),
    Rule("error", policies.scope_matches_nothing),
    Rule("error", policies.limit_on_model_nobody_may_call),
    Rule("error", policies.models_scope_unused),
    Rule("error", policies.retention_with_scope),
    Rule("error", policies.contradicting_retention),
    Rule("error", policies.contradicting_logging),
    Rule("error", policies.region_of_nobody),
    Rule("error", policies.shadowed_endpoint_rule),
    Rule("error", policies.route_without_target),
)


def lint(resources: Resources, *, env: Mapping[str, str], price_book: PriceBook) -> list[Finding]:
    """What every rule finds, in reading order. Resources that contradict each other are fine as input."""
    subject = Subject(resources, env, price_book)
    findings = [
        resources.finding(hit.resource, hit.path, hit.message, hit.hint, severity=rule.severity, rule=rule.name)
        for rule in RULES
        for hit in rule.find(subject)
    ]
    return sorted(findings, key=lambda one: (one.file, one.line))
