"""LiteLLM's library, with the prefixes that its users write for each vendor."""

import os

from checks import GATEWAY, KEY, QUESTION, TOOL_QUESTION, WEATHER, raised, run
from pydantic import BaseModel

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it fetches prices from the web otherwise
os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"
import litellm

litellm.num_retries = 0
litellm.suppress_debug_info = True
CHATS = {
    "openai": ("openai/gpt-4.1", f"{GATEWAY}/v1"),
    "anthropic": ("anthropic/claude-sonnet-4-5", GATEWAY),
    "gemini": ("gemini/gemini-2.5-flash", f"{GATEWAY}/v1beta"),
    "mistral": ("mistral/mistral-large-latest", f"{GATEWAY}/mistral/v1"),
    "cohere": ("cohere_chat/command-a-03-2025", f"{GATEWAY}/v2/chat"),
    "ollama": ("ollama_chat/gpt-4.1", GATEWAY),
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city, now.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


class Tide(BaseModel):
    port: str
    height_cm: int


def ask(kind, messages, key=KEY, model=None, **more):
    name, base = CHATS[kind]
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if model is not None:
        name, base = f"{name.split('/')[0]}/{model}", base.replace(name.split("/")[1], model)
    return litellm.completion(name, messages, api_base=base, api_key=key, timeout=30, **more)


def answer(kind):
    done = ask(kind, [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}])
    assert done.choices[0].message.content and done.usage.completion_tokens > 0, done
    return done.choices[0].message.content


def stream(kind):
    chunks = list(ask(kind, QUESTION, stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks)
    assert whole.choices[0].message.content and whole.choices[0].finish_reason == "stop", whole
    return f"{whole.usage.total_tokens} tokens"


def tool(kind, **more):
    asked = [{"role": "user", "content": TOOL_QUESTION}]
    first = ask(kind, asked, tools=TOOLS, **more)
    if more:
        first = litellm.stream_chunk_builder(list(first), messages=asked)
    message = first.choices[0].message
    assert [call.function.name for call in message.tool_calls or ()] == ["get_weather"], first
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": WEATHER}
    done = ask(kind, [*asked, message.model_dump(), result], tools=TOOLS)
    assert done.choices[0].message.content, done
    return done.choices[0].message.content


def tool_in_stream(kind):
    return tool(kind, stream=True)


def typed_output(kind):
    done = ask(kind, QUESTION, response_format=Tide)
    return repr(Tide.model_validate_json(done.choices[0].message.content))


def errors(kind):
    unknown = raised(litellm.NotFoundError, lambda: ask(kind, QUESTION, model="no-such-model"))
    return unknown + raised(litellm.AuthenticationError, lambda: ask(kind, QUESTION, key="wrong"))


def responses():
    done = litellm.responses(input=QUESTION, model="openai/gpt-4.1", api_base=f"{GATEWAY}/v1", api_key=KEY)
    assert done.output[0].content[0].text, done
    return done.output[0].content[0].text


def embeddings():
    name = "openai/text-embedding-3-small"
    done = litellm.embedding(name, ["spring tide", "neap tide"], api_base=f"{GATEWAY}/v1", api_key=KEY)
    assert len(done.data) == 2 and len(done.data[0]["embedding"]) > 100, done
    return f"{len(done.data[0]['embedding'])} dimensions"


def each():
    found = []
    for kind in CHATS:
        for check in (answer, stream, tool, tool_in_stream, typed_output, errors):
            found.append(lambda kind=kind, check=check: check(kind))
            found[-1].__name__ = f"{kind}: {check.__name__}"
    return found


run(*each(), responses, embeddings)
