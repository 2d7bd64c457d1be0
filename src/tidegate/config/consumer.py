"""`kind: Consumer`: one application, its keys and what it may do."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tidegate.config.limits import Budget, Limits
from tidegate.config.metadata import ApiVersion, Metadata
from tidegate.config.scalars import OneOrMany
from tidegate.core.snapshot import SecretRef


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Exactly one of the two."""

    value: SecretRef | None = None
    """The key: `{env: NAME}`, `{file: PATH}` or the text itself. Only its SHA-256 is kept."""
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    """The key's SHA-256 in hex digits, so that no file need hold the key."""

    def __post_init__(self) -> None:
        if (self.value is None) == (self.sha256 is None):
            raise ValueError("a key needs either `value` or `sha256`")


class ConsumerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    team: str
    """The Team's name."""
    models: tuple[str, ...] | None = None
    """Models that it may use, `*` and `?` allowed; absent: all that the team may use."""
    passthrough: tuple[str, ...] | None = None
    """Providers of which it may call any path below `/passthrough/{provider}/`, past all models; absent: as the team."""
    keys: tuple[Key, ...] = ()
    """Keys that it may present."""
    limits: Limits = Limits()
    """Of this consumer alone; the team's hold beside them."""
    budget: Annotated[tuple[Budget, ...], OneOrMany()] = ()
    """Of this consumer alone; one, or a list with different periods."""


class Consumer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One application that calls the gateway."""

    api_version: ApiVersion = "tidegate/v1"
    """The version of this format."""
    kind: Literal["Consumer"] = "Consumer"
    """Which resource this is."""
    metadata: Metadata
    """Its name; `labels.region` steers endpoint routing, all labels are tags of its usage."""
    spec: ConsumerSettings
    """What it may do."""
