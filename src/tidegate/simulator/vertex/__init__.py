"""Vertex AI, simulated: tokens, paths, and what its bodies have otherwise than Gemini's and Anthropic's own."""
