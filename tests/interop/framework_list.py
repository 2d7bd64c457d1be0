"""The clients of `real_frameworks`, a few lines each, and the providers that answer them."""

from msgspec import Struct


class Client(Struct, frozen=True):
    """Its session is `clients/<name with _>_session.py`, or `.mjs` if npm installs it."""

    packages: tuple[str, ...]
    """As pip or npm writes them, with versions; the first one's version is shown."""
    dialects: tuple[str, ...] = ()
    """If it speaks one alone: a provider of the same is left out."""
    npm: bool = False
    theirs: dict[str, str] = {}
    """Checks, perhaps `UPSTREAM/CHECK`, that fail because of the client itself, and why."""


class Upstream(Struct, frozen=True):
    """A provider as the simulator plays it."""

    dialect: str
    model: str
    embedding_dialect: str
    embedding_model: str
    path: str = ""
    most_tokens: int = 8192
    """`maxOutputTokens` of the Models: some clients ask for as much as their own vendor's model has."""
    cannot: tuple[str, ...] = ()
    """What of the checks the provider has no equal for: parts of the refusals' texts."""


UPSTREAMS = {
    "openai": Upstream("openai", "gpt-4.1", "gemini", "gemini-embedding-001", "/v1"),
    "anthropic": Upstream("anthropic", "claude-sonnet-5-5", "gemini", "gemini-embedding-001"),
    "gemini": Upstream(
        "gemini",
        "gemini-2.5-flash",
        "cohere",
        "embed-v4.0",
    ),
    "cohere": Upstream(
        "cohere",
        "command-a-03-2025",
        "cohere",
        "embed-v4.0",
    ),
    "ollama": Upstream(
        "ollama",
        "llama3.2",
        "ollama",
        "nomic-embed-text",
        cannot=("Ollama cannot be made to call a tool",),
    ),
}
CHAT_NAMES = (
    "gpt-4.1",
    "gpt-5-mini",
    "claude-sonnet-4-5",
    "gemini-2.5-flash",
    "mistral-large-latest",
    "command-a-03-2025",
    "llama-3.3-70b-versatile",
)
"""Public names: those that the clients' users write, as some clients go by them."""
EMBEDDING_NAMES = ("text-embedding-3-small", "gemini-embedding-001", "mistral-embed", "embed-v4.0")

_COHERE_STREAM = "reads each line of Cohere's stream as JSON, its `event:` lines too"
_JOINED = "joins the text before a call of its own `json` tool, here Cohere's plan, with the call"

CLIENTS = {
    "vercel": Client(
        (
            "ai@6.0.326",
            "@ai-sdk/openai@3.0.141",
            "@ai-sdk/openai-compatible@2.0.87",
            "@ai-sdk/anthropic@3.0.138",
            "@ai-sdk/google@3.0.141",
            "@ai-sdk/mistral@3.0.69",
            "@ai-sdk/cohere@3.0.63",
            "@ai-sdk/amazon-bedrock@4.0.186",
            "zod@4.6.7",
        ),
        npm=True,
        theirs={
            "cohere/bedrock: object": _JOINED,
            "cohere/bedrock: object in a stream": _JOINED,
        },
    ),
    "js-sdks": Client(("openai@6.49.0", "@anthropic-ai/sdk@1.12.0", "@google/genai@2.32.0"), npm=True),
    "gemini-cli": Client(("@google/gemini-cli@0.61.0",), ("gemini",), npm=True),
    "openai-agents": Client(("openai-agents==0.24.0",), ("openai",)),
    "pydantic-ai": Client(("pydantic-ai-slim[openai,anthropic,google]==2.68.0",)),
    "langchain": Client(
        (
            "langchain==1.4.7",
            "langchain-openai==1.7.3",
            "langchain-anthropic==1.7.7",
            "langchain-google-genai==4.4.2",
            "langchain-mistralai==1.1.6",
            "langchain-ollama==1.1.0",
        )
    ),
    "llama-index": Client(
        (
            "llama-index-core==0.14.25",
            "llama-index-llms-openai==0.8.3",
            "llama-index-embeddings-openai==0.7.0",
            "llama-index-llms-anthropic==0.12.3",
            "anthropic==0.125.0",  # it calls a type that later ones have made a union
            "llama-index-llms-google-genai==0.11.3",
        )
    ),
    "haystack": Client(("haystack-ai==3.4.0", "anthropic-haystack==8.0.1")),
    "litellm": Client(
        ("litellm==1.106.2", "mcp==2.3.0"),
        theirs={
            "cohere: stream": _COHERE_STREAM,
            "cohere: tool_in_stream": _COHERE_STREAM,
            "cohere: typed_output": "has no response_format for Cohere",
        },
    ),
    "instructor": Client(("instructor==1.17.0", "anthropic==2.12.0")),
    "llm": Client(("llm==0.36",), ("openai",)),
    "groq": Client(("groq==1.7.0",), ("openai",)),
}
