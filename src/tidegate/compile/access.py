"""Who may call what, and which policies concern whom: every glob resolved to names, once."""

from msgspec import Struct

from tidegate.compile.names import selected
from tidegate.config.consumer import Consumer
from tidegate.config.policy import AIAPIGatewayPolicy
from tidegate.config.resources import Resources
from tidegate.config.team import Team


class Access(Struct, frozen=True, kw_only=True):
    """Derived from the resources alone."""

    teams: dict[str, Team]
    models: frozenset[str]
    """Names of all Models."""
    callable_by: dict[str, frozenset[str]]
    """Consumer → the Models that it may call; of an unknown team: as its own list says."""
    passthrough_of: dict[str, frozenset[str]]
    """Consumer → the Providers of which it may call any path."""
    consumers_in: dict[str, dict[str, Consumer]]
    """Policy → the consumers in its scope, by name."""
    models_in: dict[str, frozenset[str]]
    """Policy → the Models in its scope."""


def resolve_access(resources: Resources) -> Access:
    teams = {team.metadata.name: team for team in resources.teams}
    models = frozenset(model.metadata.name for model in resources.models)
    providers = frozenset(provider.metadata.name for provider in resources.providers)
    return Access(
        teams=teams,
        models=models,
        callable_by={one.metadata.name: _callable(one, teams, models) for one in resources.consumers},
        passthrough_of={one.metadata.name: _passthrough(one, teams, providers) for one in resources.consumers},
        consumers_in={one.metadata.name: _in_scope(one, resources) for one in resources.policies},
        models_in={one.metadata.name: selected(one.spec.scope.models, models) for one in resources.policies},
    )


def _callable(consumer: Consumer, teams: dict[str, Team], models: frozenset[str]) -> frozenset[str]:
    team = teams.get(consumer.spec.team)
    of_team = models if team is None else selected(team.spec.models, models)
    return selected(consumer.spec.models, of_team)


def _passthrough(consumer: Consumer, teams: dict[str, Team], providers: frozenset[str]) -> frozenset[str]:
    team = teams.get(consumer.spec.team)
    of_team = frozenset[str]() if team is None else selected(team.spec.passthrough, providers)
    return selected(consumer.spec.passthrough, of_team)


def _in_scope(policy: AIAPIGatewayPolicy, resources: Resources) -> dict[str, Consumer]:
    scope = policy.spec.scope
    names = selected(scope.consumers, (one.metadata.name for one in resources.consumers))
    teams = selected(scope.teams, (one.metadata.name for one in resources.teams))
    return {
        one.metadata.name: one for one in resources.consumers if one.metadata.name in names and one.spec.team in teams
    }
