"""LangChain's chat models for OpenAI (chat and Responses), Anthropic, Google, Mistral and Ollama, alone and in an agent."""

from checks import GATEWAY, KEY, QUESTION, TOOL_QUESTION, WEATHER, run
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool as langchain_tool
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Tide(BaseModel):
    """The tide at a port."""

    port: str
    height_cm: int = Field(ge=0, le=900)


@langchain_tool
def get_weather(city: str) -> str:
    """The weather in a city, now."""
    return WEATHER


def openai(model="gpt-4.1", key=KEY, **more):
    return ChatOpenAI(model=model, base_url=f"{GATEWAY}/v1", api_key=key, max_retries=0, stream_usage=True, **more)


def responses(model="gpt-4.1", key=KEY):
    return openai(model, key, use_responses_api=True, output_version="responses/v1")


def anthropic(model="claude-sonnet-4-5", key=KEY):
    return ChatAnthropic(model=model, base_url=GATEWAY, api_key=key, max_retries=0)


def google(model="gemini-2.5-flash", key=KEY):
    return ChatGoogleGenerativeAI(model=model, base_url=GATEWAY, api_key=key, max_retries=0, vertexai=False)


def mistral(model="mistral-large-latest", key=KEY):
    return ChatMistralAI(model=model, endpoint=f"{GATEWAY}/mistral/v1", api_key=key, max_retries=0)


def ollama(model="gpt-4.1", key=KEY):
    return ChatOllama(model=model, base_url=GATEWAY, client_kwargs={"headers": {"authorization": f"Bearer {key}"}})


CHATS = (openai, responses, anthropic, google, mistral, ollama)
EMBEDDINGS = {
    openai: lambda: OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=f"{GATEWAY}/v1", api_key=KEY, check_embedding_ctx_length=False
    ),
    google: lambda: GoogleGenerativeAIEmbeddings(
        model="gemini-embedding-001", google_api_key=KEY, base_url=GATEWAY, vertexai=False
    ),
    ollama: lambda: OllamaEmbeddings(
        model="text-embedding-3-small",
        base_url=GATEWAY,
        client_kwargs={"headers": {"authorization": f"Bearer {KEY}"}},
    ),
}


def answer(make):
    done = make().invoke([("system", "Be brief."), ("human", QUESTION)])
    assert done.text and done.usage_metadata["output_tokens"] > 0, done
    return done.text


async def stream(make):
    whole = None
    async for chunk in make().astream(QUESTION):
        whole = chunk if whole is None else whole + chunk
    assert whole.text and whole.usage_metadata["output_tokens"] > 0, whole
    return whole.usage_metadata["total_tokens"]


def tool(make):
    model = make().bind_tools([get_weather])
    asked = [HumanMessage(TOOL_QUESTION)]
    called = model.invoke(asked)
    assert [call["name"] for call in called.tool_calls] == ["get_weather"], called
    result = get_weather.invoke(called.tool_calls[0])
    assert isinstance(result, ToolMessage)
    done = model.invoke([*asked, called, result])
    assert done.text and not done.tool_calls, done
    return done.text


async def tool_in_stream(make):
    model = make().bind_tools([get_weather])
    asked = [HumanMessage(TOOL_QUESTION)]
    whole = None
    async for chunk in model.astream(asked):
        whole = chunk if whole is None else whole + chunk
    assert [call["name"] for call in whole.tool_calls] == ["get_weather"], whole
    assert isinstance(whole.tool_calls[0]["args"]["city"], str), whole
    done = await model.ainvoke([*asked, whole, get_weather.invoke(whole.tool_calls[0])])
    assert done.text, done
    return done.text


def agent(make):
    done = create_agent(make(), [get_weather]).invoke({"messages": [("human", TOOL_QUESTION)]})
    kinds = [message.type for message in done["messages"]]
    assert kinds == ["human", "ai", "tool", "ai"], kinds
    return ", ".join(kinds)


def typed_output(make):
    done = make().with_structured_output(Tide).invoke(QUESTION)
    assert isinstance(done, Tide), done
    return repr(done)


def image(make):
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "base64": PIXEL, "mime_type": "image/png"},
    ]
    done = make().invoke([{"role": "user", "content": content}])
    assert done.text, done
    return done.text


def errors(make):
    told = []
    for model in (make("no-such-model"), make(key="wrong")):
        try:
            model.invoke(QUESTION)
        except Exception as error:
            text = f"{type(error).__name__} {error}"
            assert "no-such-model" in text or "401" in text or "API key" in text, text
            told.append(type(error).__name__)
        else:
            raise AssertionError("no error")
    return ", ".join(told)


def embeddings(make):
    vectors = EMBEDDINGS[make]().embed_documents(["spring tide", "neap tide"])
    assert len(vectors) == 2 and len(vectors[0]) > 100, len(vectors)
    return f"{len(vectors[0])} dimensions"


def each():
    found = []
    for make in CHATS:
        checks = [answer, stream, tool, tool_in_stream, agent, typed_output, image, errors]
        for check in [*checks, *([embeddings] if make in EMBEDDINGS else [])]:
            found.append(lambda make=make, check=check: check(make))
            found[-1].__name__ = f"{make.__name__}: {check.__name__}"
    return found


run(*each())
