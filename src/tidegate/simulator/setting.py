"""What an answer depends on beside the request and the model's behaviour."""

from msgspec import Struct


class Setting(Struct, frozen=True, kw_only=True):
    seed: int
    model: str
    """As the answer names it."""
    cached_tokens: int = 0
    """Of the prompt, found in the provider's cache."""
    usage: bool = True
    """False: the answer says nothing of what it consumed."""
