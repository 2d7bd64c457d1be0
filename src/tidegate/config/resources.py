"""The kinds, and a configuration as a whole with where each part of it was written."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from tidegate.config.consumer import Consumer
from tidegate.config.document import MapNode, Node, is_written, line_of
from tidegate.config.finding import Finding, Path, Severity, render_path
from tidegate.config.gateway import Gateway
from tidegate.config.model import Model
from tidegate.config.policy import AIAPIGatewayPolicy
from tidegate.config.provider import Provider
from tidegate.config.team import Team

Resource = Provider | Model | Team | Consumer | AIAPIGatewayPolicy | Gateway

KINDS: Final[Mapping[str, type[Resource]]] = {
    "Provider": Provider,
    "Model": Model,
    "Team": Team,
    "Consumer": Consumer,
    "AIAPIGatewayPolicy": AIAPIGatewayPolicy,
    "Gateway": Gateway,
}
KINDS_NOT_YET: Final = (
    "Tenant", "User", "Guard", "Prompt", "Product", "Plan", "Subscription", "Experiment", "Cache", "McpServer", "Agent",
)  # fmt: skip


class Source(Struct, frozen=True):
    """Where a resource was written."""

    file: str
    root: Node


class Resources(Struct, kw_only=True):
    """Every resource, each kind in the order written. Made by `load` or `from_environment`."""

    providers: list[Provider] = []
    models: list[Model] = []
    teams: list[Team] = []
    consumers: list[Consumer] = []
    policies: list[AIAPIGatewayPolicy] = []
    gateway: Gateway | None = None
    sources: dict[tuple[str, str], Source] = {}
    """By kind and name."""

    def add(self, resource: Resource, source: Source) -> None:
        """The caller has made sure that kind and name are new."""
        self.sources[resource.kind, resource.metadata.name] = source
        match resource:
            case Provider():
                self.providers.append(resource)
            case Model():
                self.models.append(resource)
            case Team():
                self.teams.append(resource)
            case Consumer():
                self.consumers.append(resource)
            case AIAPIGatewayPolicy():
                self.policies.append(resource)
            case Gateway():
                self.gateway = resource

    def written(self, resource: Resource, path: Path) -> bool:
        """Whether the field was spelled out, as opposed to being a default."""
        return is_written(self._source(resource).root, path)

    def finding(
        self,
        resource: Resource,
        path: Path,
        message: str,
        hint: str = "",
        *,
        severity: Severity = "error",
        rule: str = "",
    ) -> Finding:
        """A Finding at the line where `path` of `resource` was written."""
        source = self._source(resource)
        return Finding(
            file=source.file,
            line=line_of(source.root, path),
            path=render_path(path),
            message=message,
            hint=hint,
            severity=severity,
            rule=rule,
        )

    def _source(self, resource: Resource) -> Source:
        return self.sources.get((resource.kind, resource.metadata.name)) or Source("(built in)", MapNode(0))
