"""openai-agents: agents on chat completions and on Responses, with a function tool and typed output."""

import openai
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from checks import GATEWAY, KEY, QUESTION, TOOL_QUESTION, Place, run
from openai import AsyncOpenAI
from openai.types.shared import Reasoning
from pydantic import BaseModel

set_tracing_disabled(True)
CLIENT = AsyncOpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0)
KINDS = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}


class Tide(BaseModel):
    port: str
    height_cm: int


def agent(kind: str, model: str = "gpt-4.1", client: AsyncOpenAI = CLIENT, **more: object) -> Agent:
    return Agent(name="pilot", instructions="Be brief.", model=KINDS[kind](model, client), **more)


async def answer(kind: str) -> str:
    done = await Runner.run(agent(kind), QUESTION)
    assert done.final_output and done.context_wrapper.usage.output_tokens > 0, done
    return done.final_output


async def stream(kind: str) -> str:
    streamed = Runner.run_streamed(agent(kind), QUESTION)
    text = ""
    async for event in streamed.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            text += event.data.delta
    assert text and text == streamed.final_output, (text, streamed.final_output)
    return text


async def tool(kind: str) -> str:
    place = Place()
    done = await Runner.run(agent(kind, tools=[function_tool(place.weather)]), TOOL_QUESTION)
    assert place.asked == 1 and done.final_output, done
    return done.final_output


async def tool_in_stream(kind: str) -> str:
    place = Place()
    streamed = Runner.run_streamed(agent(kind, tools=[function_tool(place.weather)]), TOOL_QUESTION)
    names = [event.name async for event in streamed.stream_events() if event.type == "run_item_stream_event"]
    assert place.asked == 1 and streamed.final_output, names
    return ", ".join(names)


async def typed_output(kind: str) -> str:
    done = await Runner.run(agent(kind, output_type=Tide), QUESTION)
    assert isinstance(done.final_output, Tide), done
    return repr(done.final_output)


async def second_turn(kind: str) -> str:
    place = Place()
    pilot = agent(kind, tools=[function_tool(place.weather)])
    first = await Runner.run(pilot, TOOL_QUESTION)
    done = await Runner.run(pilot, [*first.to_input_list(), {"role": "user", "content": "Thanks. And tomorrow?"}])
    assert done.final_output, done
    return done.final_output


async def reasoning(kind: str) -> str:
    settings = ModelSettings(
        reasoning=Reasoning(effort="low", summary="auto") if kind == "responses" else Reasoning(effort="low")
    )
    place = Place()
    pilot = agent(kind, "gpt-5-mini", tools=[function_tool(place.weather)], model_settings=settings)
    done = await Runner.run(pilot, TOOL_QUESTION)
    assert place.asked == 1 and done.final_output, done
    return str([item.type for item in done.new_items])


async def errors(kind: str) -> str:
    told = []
    stranger = AsyncOpenAI(base_url=f"{GATEWAY}/v1", api_key="wrong", max_retries=0)
    for expected, wrong in (
        (openai.NotFoundError, agent(kind, "no-such-model")),
        (openai.AuthenticationError, agent(kind, client=stranger)),
    ):
        try:
            await Runner.run(wrong, QUESTION)
            raise AssertionError(f"no {expected.__name__}")
        except expected as error:
            told.append(f"{type(error).__name__} {error.code}")
    return ", ".join(told)


async def previous_response() -> str:
    first = await Runner.run(agent("responses"), QUESTION)
    done = await Runner.run(agent("responses"), "And then?", previous_response_id=first.last_response_id)
    assert done.final_output, done
    return done.final_output


def each(kind: str) -> list:
    """The checks, named by the API that they go through."""
    found = []
    for check in (answer, stream, tool, tool_in_stream, typed_output, second_turn, reasoning, errors):
        found.append(lambda check=check: check(kind))
        found[-1].__name__ = f"{kind}: {check.__name__}"
    return found


run(*each("chat"), *each("responses"), previous_response)
