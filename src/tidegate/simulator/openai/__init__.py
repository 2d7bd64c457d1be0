"""The OpenAI dialect, and Azure's variant of it, as a provider speaks it. Shapes: the official `openai` SDK's types."""
