"""Google's Gemini API with an API key: generateContent, its streams, embeddings, images."""

from tidegate.dialects.gemini.dialect import Gemini
from tidegate.dialects.gemini.imagen import Imagen

__all__ = ["Gemini", "Imagen"]
