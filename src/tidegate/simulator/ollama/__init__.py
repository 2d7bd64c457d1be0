"""Ollama's own API as its server speaks it: lines of JSON. Shapes: the official `ollama` SDK's types."""
