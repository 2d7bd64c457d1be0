"""Google's Gemini API with an API key: generateContent, its streams, embeddings."""

from tidegate.dialects.gemini.dialect import Gemini

__all__ = ["Gemini"]
