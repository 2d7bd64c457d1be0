"""Ollama's own API: chat as JSON lines, generate, embed."""

from tidegate.dialects.ollama.dialect import Ollama

__all__ = ["Ollama"]
