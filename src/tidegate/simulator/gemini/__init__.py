"""The Gemini API, and Vertex AI's variant of its paths, as the provider speaks it. Shapes: the SDK `google-genai`."""
