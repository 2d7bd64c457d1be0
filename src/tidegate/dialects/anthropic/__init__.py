"""The Anthropic dialect."""

from tidegate.dialects.anthropic.dialect import Anthropic

__all__ = ["Anthropic"]
