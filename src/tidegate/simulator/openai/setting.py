"""What an answer depends on beside the request and the model's behaviour."""

from tidegate.simulator import setting as shared


class Setting(shared.Setting, frozen=True, kw_only=True):
    azure: bool = False
