"""`kind: Team`: a group of consumers with a purse of its own."""

from typing import Annotated, Literal

from msgspec import Struct

from tidegate.config.limits import Budget, Limits
from tidegate.config.metadata import ApiVersion, Metadata
from tidegate.config.scalars import OneOrMany


class TeamSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    models: tuple[str, ...] | None = None
    """Models that its consumers may use, `*` and `?` allowed; absent: all."""
    passthrough: tuple[str, ...] = ()
    """Providers of which its consumers may call any path, below `/passthrough/{provider}/`; absent: none."""
    shared_objects: tuple[str, ...] = ()
    """Ids of what providers keep and none of its consumers has made (a hosted prompt, a vector store, a file): their calls
    may name it, and go wherever they would without it; absent: none."""
    limits: Limits = Limits()
    """Shared by all its consumers."""
    budget: Annotated[tuple[Budget, ...], OneOrMany()] = ()
    """Shared by all its consumers; one, or a list with different periods."""


class Team(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A group of consumers."""

    api_version: ApiVersion = "tidegate/v1"
    """The version of this format."""
    kind: Literal["Team"] = "Team"
    """Which resource this is."""
    metadata: Metadata
    """Its name and labels."""
    spec: TeamSettings = TeamSettings()
    """What it may use."""
