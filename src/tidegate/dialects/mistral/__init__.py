"""Mistral's REST dialect: OpenAI's wire format with deviations."""

from tidegate.dialects.mistral.dialect import Mistral

__all__ = ["Mistral"]
