"""What an application on an old SDK does, from start to end. Run by test_old_sdk.py: BASE_URL KEY."""

import asyncio
import json
import sys

import openai
from openai import AsyncOpenAI, OpenAI

HELLO = [{"role": "user", "content": "When does the tide turn?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def talk(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="gpt-4.1", messages=HELLO)
    text = ""
    usage = None
    options = {"include_usage": True}
    for chunk in client.chat.completions.create(model="gpt-4.1", messages=HELLO, stream=True, stream_options=options):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
    assert text == whole.choices[0].message.content
    assert usage == whole.usage
    asked = [{"role": "user", "content": "weather?"}]
    call = client.chat.completions.create(model="gpt-4.1", messages=asked, tools=[WEATHER]).choices[0]
    assert call.finish_reason == "tool_calls"
    assert set(json.loads(call.message.tool_calls[0].function.arguments)) == {"city"}
    assert len(client.embeddings.create(model="text-embedding-3-small", input="tide").data[0].embedding) == 1536
    assert not client.moderations.create(model="omni-moderation-latest", input="tide").results[0].flagged
    assert "gpt-4.1" in {model.id for model in client.models.list()}
    assert client.models.retrieve("meta-llama/Llama-3.1-8B-Instruct").object == "model"
    legacy = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=4)
    assert legacy.choices[0].finish_reason == "length"


def fail(client: OpenAI) -> None:
    for status, kind in ((404, openai.NotFoundError), (400, openai.BadRequestError), (401, openai.AuthenticationError)):
        try:
            if status == 404:
                client.chat.completions.create(model="no-such-model", messages=HELLO)
            elif status == 400:
                client.chat.completions.create(model="gpt-4.1", messages=[{"role": "usr", "content": "x"}])
            else:
                client.with_options(api_key="sk-wrong").models.list()
        except kind as error:
            assert error.status_code == status
            assert error.code
        else:
            raise AssertionError(f"no {kind.__name__}")


async def talk_async(base_url: str, key: str) -> None:
    async with AsyncOpenAI(base_url=base_url, api_key=key) as client:
        whole = await client.chat.completions.create(model="gpt-4.1", messages=HELLO)
        text = ""
        async for chunk in await client.chat.completions.create(model="gpt-4.1", messages=HELLO, stream=True):
            text += chunk.choices[0].delta.content or ""
        assert text == whole.choices[0].message.content


def main() -> None:
    base_url, key = sys.argv[1:]
    with OpenAI(base_url=base_url, api_key=key, timeout=10) as client:
        talk(client)
        fail(client)
    asyncio.run(talk_async(base_url, key))
    print(openai.__version__)


if __name__ == "__main__":
    main()
