"""OpenAI's REST dialect, and Azure's variant of it."""

from tidegate.dialects.openai.dialect import AzureOpenAI, OpenAI, model_object

__all__ = ["AzureOpenAI", "OpenAI", "model_object"]
