"""`llm`, the command line tool, with the gateway as a model of `extra-openai-models.yaml`."""

import os
import subprocess
import sys
from pathlib import Path

from checks import GATEWAY, KEY, QUESTION, TOOL_QUESTION, WEATHER, run

LLM = Path(sys.executable).with_name("llm")
FOLDER = Path.home() / "llm"
FOLDER.mkdir()
MODEL = f"""\
- model_id: MODEL
  model_name: MODEL
  api_base: {GATEWAY}/v1
  supports_schema: true
  supports_tools: true
  api_key_name: tidegate
"""
(FOLDER / "extra-openai-models.yaml").write_text(MODEL.replace("MODEL", "gpt-4.1") + MODEL.replace("MODEL", "nothing"))
TOOLS = f"""
def get_weather(city: str) -> str:
    "The weather in a city, now."
    return {WEATHER!r}
"""


def llm(*arguments, key=KEY, code=0):
    env = {**os.environ, "LLM_USER_PATH": str(FOLDER)}
    done = subprocess.run(
        [LLM, *arguments, "--key", key],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr[-800:] or done.stdout
    return done.stdout + done.stderr


def answer():
    return llm("-m", "gpt-4.1", QUESTION, "--no-stream", "-s", "Be brief.", "-u")


def stream():
    return llm("-m", "gpt-4.1", QUESTION)


def second_turn():
    return llm("-m", "gpt-4.1", "-c", "And then?")


def tool():
    said = llm("-m", "gpt-4.1", "--functions", TOOLS, TOOL_QUESTION, "--td")
    assert "get_weather" in said and WEATHER in said, said
    return said.strip().splitlines()[-1]


def typed_output():
    said = llm("-m", "gpt-4.1", "--schema", "port, height_cm int", QUESTION)
    assert '"port"' in said and '"height_cm"' in said, said
    return said


def errors():
    unknown = llm("-m", "nothing", QUESTION, code=1)
    assert "nothing" in unknown, unknown
    wrong = llm("-m", "gpt-4.1", QUESTION, key="wrong", code=1)
    assert "API key" in wrong or "401" in wrong, wrong
    return unknown + wrong


run(answer, stream, second_turn, tool, typed_output, errors)
