"""What every resource has around its `spec`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

ApiVersion = Literal["tidegate/v1"]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
ModelName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$")]


class Metadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    name: Name
    """Unique among the resources of one kind; other resources refer to it by this name."""
    labels: dict[str, str] = {}
    """Words to group and find resources by. A Consumer's labels become tags of its usage; `region` steers routing."""
    annotations: dict[str, str] = {}
    """Free notes; Tidegate reads none of them."""


class ModelMetadata(Metadata, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    name: ModelName
    """The public name that clients ask for, such as `gpt-4.1` or `org/model:1`."""
