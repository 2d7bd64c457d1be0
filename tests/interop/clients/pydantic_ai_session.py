"""pydantic-ai with each of its model classes that the gateway has a dialect for."""

from checks import GATEWAY, KEY, QUESTION, TOOL_QUESTION, Place, run
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput
from pydantic_ai.messages import ModelResponse, ThinkingPart
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.models.google import GoogleModel, GoogleModelSettings
from pydantic_ai.models.openai import (
    OpenAIChatModel,
    OpenAIChatModelSettings,
    OpenAIResponsesModel,
    OpenAIResponsesModelSettings,
)
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider


class Tide(BaseModel):
    port: str
    height_cm: int


def chat(name: str = "gpt-4.1", key: str = KEY) -> OpenAIChatModel:
    return OpenAIChatModel(name, provider=OpenAIProvider(base_url=f"{GATEWAY}/v1", api_key=key))


def responses(name: str = "gpt-4.1", key: str = KEY) -> OpenAIResponsesModel:
    return OpenAIResponsesModel(name, provider=OpenAIProvider(base_url=f"{GATEWAY}/v1", api_key=key))


def anthropic(name: str = "claude-sonnet-4-5", key: str = KEY) -> AnthropicModel:
    return AnthropicModel(name, provider=AnthropicProvider(base_url=GATEWAY, api_key=key))


def google(name: str = "gemini-2.5-flash", key: str = KEY) -> GoogleModel:
    return GoogleModel(name, provider=GoogleProvider(base_url=GATEWAY, api_key=key))


THINKING = {
    chat: ("gpt-5-mini", OpenAIChatModelSettings(openai_reasoning_effort="low")),
    responses: (
        "gpt-5-mini",
        OpenAIResponsesModelSettings(openai_reasoning_effort="low", openai_reasoning_summary="detailed"),
    ),
    anthropic: (
        "claude-sonnet-4-5",
        AnthropicModelSettings(anthropic_thinking={"type": "enabled", "budget_tokens": 2000}, max_tokens=4000),
    ),
    google: (
        "gemini-2.5-flash",
        GoogleModelSettings(google_thinking_config={"include_thoughts": True, "thinking_budget": 2000}),
    ),
}


async def answer(make) -> str:
    done = await Agent(make(), instructions="Be brief.").run(QUESTION)
    assert done.output and done.usage.output_tokens > 0, done
    return done.output


async def stream(make) -> str:
    async with Agent(make()).run_stream(QUESTION) as streamed:
        text = "".join([piece async for piece in streamed.stream_text(delta=True, debounce_by=None)])
        assert text and streamed.usage.output_tokens > 0, streamed
    return text


async def tool(make) -> str:
    place = Place()
    done = await Agent(make(), tools=[place.weather]).run(TOOL_QUESTION)
    assert place.asked == 1 and done.output, done
    return done.output


async def tool_in_stream(make) -> str:
    place = Place()
    async with Agent(make(), tools=[place.weather]).run_stream(TOOL_QUESTION) as streamed:
        pieces = [piece async for piece in streamed.stream_text(delta=True)]
    assert pieces, streamed
    return f"{place.asked} calls"


async def second_turn(make) -> str:
    place = Place()
    agent = Agent(make(), tools=[place.weather])
    first = await agent.run(TOOL_QUESTION)
    done = await agent.run("Thanks. What about Oslo's weather?", message_history=first.all_messages())
    assert place.asked == 2 and done.output, done
    return done.output


async def typed_output(make) -> str:
    """By a tool that must be called."""
    done = await Agent(make(), output_type=Tide).run(QUESTION)
    assert isinstance(done.output, Tide), done
    return repr(done.output)


async def native_output(make) -> str:
    done = await Agent(make(), output_type=NativeOutput(Tide)).run(QUESTION)
    assert isinstance(done.output, Tide), done
    return repr(done.output)


async def thinking(make) -> str:
    place = Place()
    name, settings = THINKING[make]
    agent = Agent(make(name), tools=[place.weather], model_settings=settings)
    done = await agent.run(TOOL_QUESTION)
    assert place.asked == 1 and done.output, done
    thoughts = [
        part
        for message in done.all_messages()
        if isinstance(message, ModelResponse)
        for part in message.parts
        if isinstance(part, ThinkingPart)
    ]
    return f"{len(thoughts)} thoughts"


async def errors(make) -> str:
    told = []
    for status, model in ((404, make("no-such-model")), ((401, 403), make(key="wrong"))):
        try:
            await Agent(model).run(QUESTION)
            raise AssertionError("no error")
        except ModelHTTPError as error:
            assert error.status_code in (status if isinstance(status, tuple) else (status,)), error
            told.append(str(error.status_code))
    return ", ".join(told)


def each() -> list:
    found = []
    for make in (chat, responses, anthropic, google):
        for check in (
            answer,
            stream,
            tool,
            tool_in_stream,
            second_turn,
            typed_output,
            native_output,
            thinking,
            errors,
        ):
            found.append(lambda make=make, check=check: check(make))
            found[-1].__name__ = f"{make.__name__}: {check.__name__}"
    return found


run(*each())
