"""groq: the SDK of a service that speaks OpenAI's chat completions, under its own path."""

import groq
from checks import GATEWAY, KEY, QUESTION, TOOL_QUESTION, WEATHER, raised, run

MODEL = "llama-3.3-70b-versatile"
CLIENT = groq.Groq(base_url=GATEWAY, api_key=KEY, max_retries=0)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


def ask(content, client=CLIENT, model=MODEL, **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}], **more)


def answer():
    done = ask(QUESTION)
    assert done.choices[0].message.content and done.usage.completion_tokens > 0, done
    return done.choices[0].message.content


def stream():
    text = "".join(chunk.choices[0].delta.content or "" for chunk in ask(QUESTION, stream=True) if chunk.choices)
    assert text
    return text


def tool():
    message = ask(TOOL_QUESTION, tools=TOOLS).choices[0].message
    call = message.tool_calls[0]
    history = [
        {"role": "user", "content": TOOL_QUESTION},
        {"role": "assistant", "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_call_id": call.id, "content": WEATHER},
    ]
    done = CLIENT.chat.completions.create(model=MODEL, messages=history, tools=TOOLS)
    assert done.choices[0].message.content, done
    return done.choices[0].message.content


def errors():
    stranger = groq.Groq(base_url=GATEWAY, api_key="wrong", max_retries=0)
    unknown = raised(groq.NotFoundError, lambda: ask(QUESTION, model="no-such-model"))
    return unknown + raised(groq.AuthenticationError, lambda: ask(QUESTION, stranger))


def models():
    names = [model.id for model in CLIENT.models.list().data]
    assert MODEL in names, names
    return f"{len(names)} of them"


run(answer, stream, tool, errors, models)
