"""Haystack: its generators for OpenAI (chat and Responses), Anthropic and Google, an agent, embedders in a pipeline."""

import os
from typing import Annotated

from checks import GATEWAY, KEY, QUESTION, TOOL_QUESTION, Place, run
from haystack import Document, Pipeline
from haystack.components.agents import Agent
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.components.generators.chat import OpenAIChatGenerator, OpenAIResponsesChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import create_tool_from_function
from haystack.utils import Secret
from haystack_integrations.components.generators.anthropic import AnthropicChatGenerator
from pydantic import BaseModel

os.environ["ANTHROPIC_BASE_URL"] = GATEWAY


class Tide(BaseModel):
    port: str
    height_cm: int


def openai(model="gpt-4.1", key=KEY, **more):
    return OpenAIChatGenerator(Secret.from_token(key), model=model, api_base_url=f"{GATEWAY}/v1", max_retries=0, **more)


def responses(model="gpt-4.1", key=KEY, **more):
    return OpenAIResponsesChatGenerator(
        api_key=Secret.from_token(key), model=model, api_base_url=f"{GATEWAY}/v1", max_retries=0, **more
    )


def anthropic(model="claude-sonnet-4-5", key=KEY, **more):
    made = AnthropicChatGenerator(Secret.from_token(key), model=model, max_retries=0, **more)
    warm_up = getattr(made, "warm_up", None)
    if warm_up is not None:
        warm_up()
    return made


def weather(place: Place):
    def get_weather(city: Annotated[str, "The city"]) -> str:
        """The weather in a city, now."""
        return place.weather(city)

    return create_tool_from_function(get_weather)


def answer(make):
    done = make().run([ChatMessage.from_system("Be brief."), ChatMessage.from_user(QUESTION)])["replies"][0]
    assert done.text, done
    return done.text


def stream(make):
    pieces = []
    done = make(streaming_callback=pieces.append).run([ChatMessage.from_user(QUESTION)])["replies"][0]
    assert done.text and done.text == "".join(piece.content for piece in pieces), done
    return f"{len(pieces)} pieces"


def agent(make):
    place = Place()
    keeper = Agent(chat_generator=make(), tools=[weather(place)])
    keeper.warm_up()
    done = keeper.run(messages=[ChatMessage.from_user(TOOL_QUESTION)])
    assert place.asked == 1 and done["last_message"].text, done
    return done["last_message"].text


def agent_in_stream(make):
    place, pieces = Place(), []
    keeper = Agent(chat_generator=make(), tools=[weather(place)], streaming_callback=pieces.append)
    keeper.warm_up()
    done = keeper.run(messages=[ChatMessage.from_user(TOOL_QUESTION)])
    assert place.asked == 1 and done["last_message"].text and pieces, done
    return f"{len(pieces)} pieces"


def typed_output(make):
    key = "text_format" if make is responses else "response_format"
    done = make(generation_kwargs={key: Tide}).run([ChatMessage.from_user(QUESTION)])["replies"][0]
    return repr(Tide.model_validate_json(done.text))


def errors(make):
    told = []
    for generator in (make("no-such-model"), make(key="wrong")):
        try:
            generator.run([ChatMessage.from_user(QUESTION)])
        except Exception as error:
            assert type(error).__name__ in ("NotFoundError", "AuthenticationError"), repr(error)
            told.append(type(error).__name__)
        else:
            raise AssertionError("no error")
    return ", ".join(told)


def embeddings():
    url, key = f"{GATEWAY}/v1", Secret.from_token(KEY)
    documents = OpenAIDocumentEmbedder(key, model="text-embedding-3-small", api_base_url=url)
    pipeline = Pipeline()
    pipeline.add_component("documents", documents)
    found = pipeline.run({"documents": {"documents": [Document(content="High water"), Document(content="Low water")]}})
    text = OpenAITextEmbedder(key, model="text-embedding-3-small", api_base_url=url).run("water")
    vectors = [one.embedding for one in found["documents"]["documents"]]
    assert len(vectors) == 2 and len(vectors[0]) == len(text["embedding"]), len(vectors)
    return f"{len(vectors[0])} dimensions"


def each():
    found = []
    for make in (openai, responses, anthropic):
        checks = [answer, stream, agent, agent_in_stream, errors]
        for check in [*checks, *([] if make is anthropic else [typed_output])]:
            found.append(lambda make=make, check=check: check(make))
            found[-1].__name__ = f"{make.__name__}: {check.__name__}"
    return found


run(*each(), embeddings)
