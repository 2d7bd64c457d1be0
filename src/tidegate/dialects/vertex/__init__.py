"""Google Vertex AI: Gemini's dialect and Anthropic's under its own paths, and embeddings of its own."""

from tidegate.dialects.vertex.claude import VertexClaude
from tidegate.dialects.vertex.dialect import Vertex

__all__ = ["Vertex", "VertexClaude"]
