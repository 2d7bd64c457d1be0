"""Triton's `generate` and `generate_stream`: a text in, texts out; its parameters are the model's own."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import compose_text, cut, generator
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.oip.fields import Fields
from tidegate.simulator.oip.inference import SSE
from tidegate.simulator.predictor import Predictor
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import Mould

_OWN: Final = frozenset(("id", "parameters", "text_input"))
_ONE_ANSWER: Final = (
    "generate expects model to produce exactly 1 response, use generate stream for model that may generate various "
    "number of responses"
)


class GenerateRequest(Struct, kw_only=True):
    model: str
    version: str
    text: bytes
    limit: int | None
    stream: bool
    id: str | None


def read_generate(fields: Fields, model: str, version: str, predictor: Predictor, *, stream: bool) -> GenerateRequest:
    """Raises Rejection."""
    if not predictor.generates:
        raise Rejection(400, f"model '{model}' has no input 'text_input' and output 'text_output' to generate with")
    taken = {one.name for one in predictor.inputs}
    for name in fields.values:
        if name not in _OWN and name not in taken:
            raise Rejection(400, f"unexpected inference input '{name}' for model '{model}'")
    text = fields.needed_text("text_input")
    parameters = fields.inner("parameters") or Fields({}, "parameters")
    for name, value in parameters.values.items():
        if not isinstance(value, str | int | float | bool):
            raise Rejection(
                400, f"parameter '{name}' has invalid type. It should be either 'int', 'bool', or 'string'."
            )
    if parameters.flag("stream") and not stream:
        raise Rejection(400, _ONE_ANSWER)
    return GenerateRequest(
        model=model,
        version=version,
        text=text.encode("utf-8", "surrogatepass"),
        limit=parameters.whole("max_tokens", 1),
        stream=stream,
        id=fields.text("id"),
    )


def generate_reply(request: GenerateRequest, behaviour: Behaviour, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    rng = generator(setting.seed, setting.model, request.text)
    tokens, _ = cut(compose_text(behaviour, rng), request.limit or behaviour.max_output_tokens, ())
    if request.stream:
        size = max(1, behaviour.tokens_per_event)
        parts = ["".join(tokens[at : at + size]) for at in range(0, len(tokens), size)]
        events = [b"data: %b\n\n" % _answer(request, part) for part in parts]
        mould = Mould(model=setting.model, pieces=events, flaws=SSE, stream=True)
    else:
        mould = Mould(model=setting.model, pieces=[_answer(request, "".join(tokens))], flaws=SSE)
    mould.prompt_tokens = estimate_tokens(request.text)
    mould.completion_tokens = len(tokens)
    return mould


def _answer(request: GenerateRequest, text: str) -> bytes:
    fields: dict[str, Any] = {} if request.id is None else {"id": request.id}
    fields |= {"model_name": request.model, "model_version": request.version, "text_output": text}
    return msgspec.json.encode(fields)
