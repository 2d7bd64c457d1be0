"""Google Vertex AI: Gemini's dialect and Anthropic's under its own paths, embeddings of its own, and Imagen."""

from tidegate.dialects.vertex.claude import VertexClaude
from tidegate.dialects.vertex.dialect import Vertex
from tidegate.dialects.vertex.imagen import VertexImagen

__all__ = ["Vertex", "VertexClaude", "VertexImagen"]
