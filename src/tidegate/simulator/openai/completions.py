"""Legacy completions: reads requests strictly, encodes whole answers and streams."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import compose_text, cut, generator
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.openai.chat import fingerprint, usage_fields
from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.rejection import Rejection, missing, wrong_type
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.template import Template

_KNOWN: Final = frozenset(
    """best_of echo frequency_penalty logit_bias logprobs max_tokens model n presence_penalty prompt seed stop stream
    stream_options suffix temperature top_p user""".split()
)
_DEFAULT_LIMIT: Final = 16


class CompletionRequest(Struct, kw_only=True):
    prompts: list[str]
    """One answer (times `n`) for each."""
    prompt: bytes
    prompt_tokens: int
    stream: bool
    include_usage: bool
    n: int
    limit: int
    stop: tuple[str, ...]
    echo: bool
    logprobs: int | None


def read_completion(fields: Fields, strict: bool) -> CompletionRequest:
    """Raises Rejection."""
    if strict:
        fields.only(_KNOWN)
    prompts, tokens = _read_prompts(fields)
    stream = fields.flag("stream")
    options = fields.inner("stream_options")
    if options is not None and not stream:
        text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Rejection(400, text, param="stream_options")
    n = fields.whole("n", 1, 128) or 1
    best_of = fields.whole("best_of", 1, 20)
    if best_of is not None and best_of < n:
        raise Rejection(
            400, f"best_of must be greater than n. You requested n={n}, best_of={best_of}.", param="best_of"
        )
    fields.number("temperature", 0, 2)
    fields.number("top_p", 0, 1)
    limit = fields.whole("max_tokens", 0)
    return CompletionRequest(
        prompts=prompts,
        prompt="\0".join(prompts).encode(),
        prompt_tokens=tokens,
        stream=stream,
        include_usage=options is not None and options.flag("include_usage"),
        n=n,
        limit=_DEFAULT_LIMIT if limit is None else limit,
        stop=fields.stop(),
        echo=fields.flag("echo"),
        logprobs=fields.whole("logprobs", 0, 5),
    )


def _read_prompts(fields: Fields) -> tuple[list[str], int]:
    """A text, texts, tokens, or lists of tokens → the texts (tokens as their numbers), and how many tokens they are."""
    value = fields.get("prompt")
    if value is None:
        raise missing("prompt")
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value:
        raise wrong_type("prompt", "a string or an array of strings", value)
    if isinstance(value[0], int):
        value = [value]
    prompts: list[str] = []
    tokens = 0
    for item in value:
        if isinstance(item, str):
            prompts.append(item)
            tokens += estimate_tokens(item.encode())
        elif isinstance(item, list):
            prompts.append(" ".join(map(str, item)))
            tokens += len(item)
        else:
            raise wrong_type("prompt", "a string or an array of strings", value)
    return prompts, tokens


def completion_template(request: CompletionRequest, behaviour: Behaviour, setting: Setting) -> Template:
    """The answer, ready to be sent."""
    answers: list[tuple[list[str], str]] = []
    for position, prompt in enumerate(request.prompts):
        for index in range(request.n):
            rng = generator(setting.seed, setting.model, prompt, position, index)
            tokens, finish = cut(compose_text(behaviour, rng), request.limit, request.stop)
            answers.append((tokens, finish))
    completion = sum(len(tokens) for tokens, _ in answers)
    usage = usage_fields(request.prompt_tokens, completion, setting.cached_tokens, 0) if setting.usage else None
    template = (_stream if request.stream else _whole)(request, answers, usage, setting, behaviour)
    template.prompt_tokens = request.prompt_tokens
    template.cached_tokens = setting.cached_tokens
    template.completion_tokens = completion
    return template


def _whole(
    request: CompletionRequest,
    answers: list[tuple[list[str], str]],
    usage: dict[str, Any] | None,
    setting: Setting,
    _: Behaviour,
) -> Template:
    choices = [
        _choice(request, index, _echoed(request, index, tokens), finish)
        for index, (tokens, finish) in enumerate(answers)
    ]
    fields: dict[str, Any] = {"model": setting.model, "choices": choices}
    if usage is not None:
        fields["usage"] = usage
    fields["system_fingerprint"] = fingerprint(setting)
    return _template(setting, [_tail(fields)], stream=False)


def _stream(
    request: CompletionRequest,
    answers: list[tuple[list[str], str]],
    usage: dict[str, Any] | None,
    setting: Setting,
    behaviour: Behaviour,
) -> Template:
    told = request.include_usage and usage is not None
    common: dict[str, Any] = {"model": setting.model, "system_fingerprint": fingerprint(setting)}
    size = max(1, behaviour.tokens_per_event)
    choices: list[dict[str, Any]] = []
    for index, (answer, finish) in enumerate(answers):
        tokens = _echoed(request, index, answer)
        choices.extend(
            _choice(request, index, tokens[start : start + size], None) for start in range(0, len(tokens), size)
        )
        choices.append(_choice(request, index, [], finish))
    tails = [_tail({**common, "choices": [choice], **({"usage": None} if told else {})}) for choice in choices]
    if told:
        tails.append(_tail({**common, "choices": [], "usage": usage}))
    return _template(setting, tails, stream=True)


def _echoed(request: CompletionRequest, index: int, tokens: list[str]) -> list[str]:
    return [request.prompts[index // request.n], *tokens] if request.echo else tokens


def _choice(request: CompletionRequest, index: int, tokens: list[str], finish: str | None) -> dict[str, Any]:
    logprobs: dict[str, Any] | None = None
    if request.logprobs is not None:
        offsets = [sum(map(len, tokens[:position])) for position in range(len(tokens))]
        logprobs = {
            "tokens": tokens,
            "token_logprobs": [-0.5] * len(tokens),
            "top_logprobs": [{token: -0.5} for token in tokens],
            "text_offset": offsets,
        }
    return {"text": "".join(tokens), "index": index, "logprobs": logprobs, "finish_reason": finish}


def _template(setting: Setting, tails: list[bytes], stream: bool) -> Template:
    return Template(
        model=setting.model,
        opening=b'{"id":"cmpl-',
        middle=b'","object":"text_completion","created":',
        tails=tails,
        stream=stream,
    )


def _tail(fields: dict[str, Any]) -> bytes:
    return b"," + msgspec.json.encode(fields)[1:]
