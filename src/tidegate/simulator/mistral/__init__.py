"""Mistral's API below `/mistral`: its paths are OpenAI's, its bodies are not. Shapes: the SDK `mistralai`'s types."""
