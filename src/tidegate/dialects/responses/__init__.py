"""OpenAI's Responses API, on the client's side and as a further surface of OpenAI's and Azure's providers."""

from tidegate.dialects.responses.dialect import AzureResponses, Responses

__all__ = ["AzureResponses", "Responses"]
