"""Reads chat, generate and embed requests as Ollama does: few fields are checked, and unknown ones are ignored."""

import base64
import binascii
import json
from typing import Any, Final

from msgspec import Struct

from tidegate.simulator.composition import Conversation, Tool
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.ollama.fields import Fields
from tidegate.simulator.rejection import Rejection

_LEVELS: Final = ("high", "medium", "low")
_FLOATS: Final = (
    "temperature",
    "top_p",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
)
_INTEGERS: Final = ("num_ctx", "num_predict", "top_k", "seed", "repeat_last_n", "num_keep")
_IMAGE_TOKENS: Final = 256
_MESSAGE_TOKENS: Final = 3


class OllamaRequest(Conversation, kw_only=True):
    """What an answer depends on."""

    chat: bool
    """Else `/api/generate`."""
    loads: bool
    """Nothing is asked: the model is only loaded."""
    top_logprobs: int | None


class EmbedRequest(Struct):
    texts: list[bytes]
    size: int | None
    legacy: bool

    @property
    def tokens(self) -> int:
        """Of all texts."""
        return sum(estimate_tokens(text) for text in self.texts)


def read_chat(fields: Fields) -> OllamaRequest:
    """Raises Rejection."""
    messages = fields.each("messages")
    pieces: list[str] = []
    images = 0
    for message in messages:
        content = message.text("content", "") or ""
        images += _count_images(message)
        pieces += [message.text("role", "") or "", content, message.text("tool_name", "") or ""]
        message.text("thinking")
        for call in message.each("tool_calls"):
            function = call.needed_inner("function")
            arguments = function.inner("arguments")
            pieces.append((function.text("name", "") or "") + json.dumps({} if arguments is None else arguments.values))
    last = messages[-1] if messages else Fields({})
    prompt = "\n".join(pieces).encode("utf-8", "surrogatepass")
    found = _read_settings(fields, prompt, images)
    found.chat, found.loads = True, not messages
    found.prompt_tokens += _MESSAGE_TOKENS * len(messages)
    found.last_text = last.text("content", "") or ""
    found.answers_tool = last.get("role") == "tool"
    found.tools = tuple(_read_tool(tool) for tool in fields.each("tools"))
    return found


def read_generate(fields: Fields) -> OllamaRequest:
    """Raises Rejection."""
    prompt = fields.text("prompt", "") or ""
    for name in ("suffix", "system", "template"):
        fields.text(name)
    fields.flag("raw")
    said = f"{fields.text('system', '')}\n{prompt}".encode("utf-8", "surrogatepass")
    found = _read_settings(fields, said, _count_images(fields))
    found.loads, found.last_text = not prompt, prompt
    return found


def read_embed(fields: Fields, legacy: bool, largest: int) -> EmbedRequest:
    """Raises Rejection."""
    if legacy:
        return EmbedRequest([(fields.text("prompt", "") or "").encode("utf-8", "surrogatepass")], None, True)
    value = fields.get("input")
    if value is None:
        raise Rejection(400, "input is required")
    texts = (value,) if isinstance(value, str) else fields.texts("input")
    size = fields.whole("dimensions", 1)
    return EmbedRequest(
        [text.encode("utf-8", "surrogatepass") for text in texts], None if size is None else min(size, largest), False
    )


def _read_settings(fields: Fields, prompt: bytes, images: int) -> OllamaRequest:
    limit, stop = _read_options(fields)
    return OllamaRequest(
        prompt=prompt,
        prompt_tokens=estimate_tokens(prompt) + images * _IMAGE_TOKENS,
        last_text="",
        answers_tool=False,
        stream=fields.get("stream") is None or fields.flag("stream"),
        limit=limit,
        stop=stop,
        tools=(),
        tool_choice="auto",
        parallel=True,
        json_schema=_read_format(fields),
        thinks=_read_think(fields),
        chat=False,
        loads=False,
        top_logprobs=(fields.whole("top_logprobs", 0, 20) or 0) if fields.flag("logprobs") else None,
    )


def _count_images(fields: Fields) -> int:
    images = fields.texts("images")
    for image in images:
        try:
            base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Rejection(400, "illegal base64 data at input byte 0") from error
    return len(images)


def _read_options(fields: Fields) -> tuple[int | None, tuple[str, ...]]:
    """→ the limit and the stop sequences. Options that nobody knows are ignored."""
    options = fields.inner("options") or Fields({})
    for names, kinds, word in ((_FLOATS, (int, float), "float32"), (_INTEGERS, (int, float), "integer")):
        for name in names:
            value = options.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
                raise Rejection(400, f'option "{name}" must be of type {word}')
    stop = options.get("stop")
    if stop is not None and (not isinstance(stop, list) or not all(isinstance(text, str) for text in stop)):
        raise Rejection(400, 'option "stop" must be of type array')
    limit = options.get("num_predict")
    return (int(limit) if limit is not None and limit >= 0 else None), tuple(stop or ())


def _read_format(fields: Fields) -> dict[str, Any] | None:
    wanted = fields.get("format")
    if wanted in (None, ""):
        return None
    if wanted == "json":
        return {"properties": {"answer": {"type": "string"}}}
    if isinstance(wanted, dict):
        return wanted
    raise Rejection(400, f'invalid format: {json.dumps(wanted)}; expected "json" or a valid JSON Schema object')


def _read_think(fields: Fields) -> bool:
    wanted = fields.get("think")
    if wanted is None or isinstance(wanted, bool):
        return bool(wanted)
    if wanted not in _LEVELS:
        raise Rejection(
            400, f'invalid think value: {json.dumps(wanted)} (must be "high", "medium", "low", true, or false)'
        )
    return True


def _read_tool(tool: Fields) -> Tool:
    function = tool.needed_inner("function")
    parameters = function.inner("parameters")
    return Tool("function", function.text("name", "") or "", {} if parameters is None else parameters.values)
