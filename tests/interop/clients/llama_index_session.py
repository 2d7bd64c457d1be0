"""LlamaIndex: its OpenAI (chat and Responses), Anthropic and Google models, an agent, and an index in memory."""

from checks import GATEWAY, KEY, QUESTION, TOOL_QUESTION, Place, run
from google.genai import types
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.google_genai import GoogleGenAI
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel


class Tide(BaseModel):
    """The tide at a port."""

    port: str
    height_cm: int


def openai(model="gpt-4.1", key=KEY):
    return OpenAI(model=model, api_base=f"{GATEWAY}/v1", api_key=key, max_retries=0)


def responses(model="gpt-4.1", key=KEY):
    return OpenAIResponses(model=model, api_base=f"{GATEWAY}/v1", api_key=key, max_retries=0)


def anthropic(model="claude-sonnet-4-5", key=KEY):
    return Anthropic(model=model, base_url=GATEWAY, api_key=key, max_retries=0)


def google(model="gemini-2.5-flash", key=KEY):
    options = types.HttpOptions(base_url=GATEWAY)
    return GoogleGenAI(model=model, api_key=key, http_options=options, max_retries=0)


def answer(make):
    done = make().chat([ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content=QUESTION)])
    assert done.message.content, done
    return done.message.content


async def stream(make):
    streamed = await make().astream_chat([ChatMessage(role="user", content=QUESTION)])
    text = "".join([chunk.delta or "" async for chunk in streamed])
    assert text, streamed
    return text


async def agent(make):
    """Calls in streams, results that go back."""
    place = Place()
    tools = [FunctionTool.from_defaults(place.weather)]
    done = await FunctionAgent(tools=tools, llm=make(), system_prompt="Be brief.").run(TOOL_QUESTION)
    assert place.asked == 1 and str(done), done
    return str(done)


def tool(make):
    place = Place()
    done = make().predict_and_call([FunctionTool.from_defaults(place.weather)], user_msg=TOOL_QUESTION)
    assert place.asked == 1, done
    return str(done)


def typed_output(make):
    done = make().as_structured_llm(Tide).complete(QUESTION)
    assert isinstance(done.raw, Tide), done
    return repr(done.raw)


def errors(make):
    told = []
    for wrong in ({"model": "claude-3-7-sonnet-latest" if make is anthropic else "gpt-4o-mini"}, {"key": "wrong"}):
        try:
            make(**wrong).complete(QUESTION)
        except Exception as error:
            text = str(error)
            assert "API key" in text or "no model" in text.lower() or "not found" in text.lower(), text
            told.append(type(error).__name__)
        else:
            raise AssertionError("no error")
    return ", ".join(told)


def index():
    embedding = OpenAIEmbedding(model="text-embedding-3-small", api_base=f"{GATEWAY}/v1", api_key=KEY, max_retries=0)
    documents = [Document(text="High water at six."), Document(text="The lock opens at noon.")]
    found = VectorStoreIndex.from_documents(documents, embed_model=embedding)
    done = found.as_query_engine(llm=openai()).query(QUESTION)
    assert str(done) and len(done.source_nodes) == 2, done
    return str(done)


def each():
    found = []
    for make in (openai, responses, anthropic, google):
        for check in (answer, stream, tool, agent, typed_output, errors):
            found.append(lambda make=make, check=check: check(make))
            found[-1].__name__ = f"{make.__name__}: {check.__name__}"
    return found


run(*each(), index)
