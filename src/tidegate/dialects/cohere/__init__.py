"""Cohere's API v2."""

from tidegate.dialects.cohere.dialect import Cohere

__all__ = ["Cohere"]
