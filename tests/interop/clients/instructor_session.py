"""instructor: answers by a pydantic model, in the modes of OpenAI's and Anthropic's clients, whole and streamed."""

import instructor
from anthropic import Anthropic
from checks import GATEWAY, KEY, QUESTION, run
from instructor.core import InstructorRetryException
from openai import OpenAI
from pydantic import BaseModel

MODES = {
    "tools": (instructor.Mode.TOOLS, "gpt-4.1"),
    "json schema": (instructor.Mode.JSON_SCHEMA, "gpt-4.1"),
    "anthropic tools": (instructor.Mode.ANTHROPIC_TOOLS, "claude-sonnet-4-5"),
}


class Tide(BaseModel):
    port: str
    height_cm: int
    falling: bool


def client(kind, key=KEY):
    mode, model = MODES[kind]
    if kind.startswith("anthropic"):
        made = instructor.from_anthropic(Anthropic(base_url=GATEWAY, api_key=key, max_retries=0), mode=mode)
        return made, {"model": model, "max_tokens": 1000}
    made = instructor.from_openai(OpenAI(base_url=f"{GATEWAY}/v1", api_key=key, max_retries=0), mode=mode)
    return made, {"model": model}


def asked(**more):
    return {"messages": [{"role": "user", "content": QUESTION}], "max_retries": 0, **more}


def typed_output(kind):
    made, settings = client(kind)
    done = made.chat.completions.create(response_model=Tide, **settings, **asked())
    assert isinstance(done, Tide), done
    return repr(done)


def list_of_them(kind):
    made, settings = client(kind)
    done = list(made.chat.completions.create_iterable(response_model=Tide, **settings, **asked()))
    assert done and all(isinstance(one, Tide) for one in done), done
    return f"{len(done)} of them"


def partial(kind):
    made, settings = client(kind)
    seen = list(made.chat.completions.create_partial(response_model=Tide, **settings, **asked()))
    assert seen and isinstance(seen[-1].port, str) and isinstance(seen[-1].height_cm, int), seen
    return f"{len(seen)} states"


def errors(kind):
    told = []
    for key, model in ((KEY, "no-such-model"), ("wrong", None)):
        made, settings = client(kind, key)
        try:
            made.chat.completions.create(
                response_model=Tide, **{**settings, **({"model": model} if model else {})}, **asked()
            )
        except InstructorRetryException as error:
            told.append(type(error.__cause__ or error).__name__)
        except Exception as error:
            told.append(type(error).__name__)
        else:
            raise AssertionError("no error")
    assert told, told
    return ", ".join(told)


def each():
    found = []
    for kind in MODES:
        for check in (typed_output, list_of_them, partial, errors):
            found.append(lambda kind=kind, check=check: check(kind))
            found[-1].__name__ = f"{kind}: {check.__name__}"
    return found


run(*each())
