"""Encodes responses: whole ones and streams of events, as OpenAI's Responses API sends them."""

from typing import Any, Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Choice, compose, generator
from tidegate.simulator.invention import split_tokens
from tidegate.simulator.logprobs import token_logprob
from tidegate.simulator.openai.response_items import DIALECT
from tidegate.simulator.openai.response_request import ResponseRequest
from tidegate.simulator.setting import Setting
from tidegate.simulator.signatures import sign
from tidegate.simulator.template import DATE, ID, Flaws, Mould

_encode = msgspec.json.encode

_COMPACTED_TOKENS: Final = 48

_FLAWS: Final = Flaws(
    error_event=b'event: error\ndata: {"type":"error","code":"server_error","message":"The server had an error while '
    b'processing your request. Sorry about that!","param":null,"sequence_number":999}\n\n',
    broken_event=b'event: response.output_text.delta\ndata: {"type":"response.output_text.del\n\n',
)


def response_reply(request: ResponseRequest, behaviour: Behaviour, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    rng = generator(setting.seed, setting.model, request.prompt)
    choice = compose(request, behaviour, rng)
    items = _items(request, choice, f"{sign(DIALECT, '', rng)}.{ID}")
    usage = {
        "input_tokens": request.prompt_tokens,
        "input_tokens_details": {"cached_tokens": setting.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": choice.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": choice.reasoning_tokens},
        "total_tokens": request.prompt_tokens + choice.completion_tokens,
    }
    response = _response(request, choice, items, usage if setting.usage else None, setting)
    if request.stream:
        stream = _Stream(request, behaviour)
        stream.run(items, response)
        mould = Mould(model=setting.model, pieces=stream.events, flaws=_FLAWS, stream=True, repeated=stream.delta)
    else:
        mould = Mould(model=setting.model, pieces=[_encode(response) + b"\n"], flaws=_FLAWS)
    mould.prompt_tokens = request.prompt_tokens
    mould.cached_tokens = setting.cached_tokens
    mould.completion_tokens = choice.completion_tokens
    return mould


def queued_reply(request: ResponseRequest, setting: Setting) -> Mould:
    """Of a call that is answered in the background: nothing yet."""
    response = {**_shell(request, setting), "status": "queued", "output": [], "usage": None}
    mould = Mould(model=setting.model, pieces=[_encode(response) + b"\n"], flaws=_FLAWS)
    mould.prompt_tokens = request.prompt_tokens
    return mould


def compaction_reply(request: ResponseRequest, setting: Setting) -> Mould:
    """Of `/v1/responses/compact`: what the user said, and all else sealed."""
    sealed = f"{sign(DIALECT, '', generator(setting.seed, setting.model, request.prompt))}.{ID}"
    kept = [one for one in request.asked if one.get("role") == "user"]
    output = [
        {"id": f"msg_{ID}{index}", "status": "completed", **one, "content": _content(one)}
        for index, one in enumerate(kept)
    ]
    output.append({"id": f"cmp_{ID}", "type": "compaction", "encrypted_content": sealed})
    usage = {
        "input_tokens": request.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": _COMPACTED_TOKENS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": request.prompt_tokens + _COMPACTED_TOKENS,
    }
    body = {
        "id": f"resp_{ID}",
        "object": "response.compaction",
        "created_at": DATE,
        "output": output,
        "usage": usage if setting.usage else None,
    }
    mould = Mould(model=setting.model, pieces=[_encode(body) + b"\n"], flaws=_FLAWS)
    mould.prompt_tokens, mould.completion_tokens = request.prompt_tokens, _COMPACTED_TOKENS
    return mould


def _content(message: dict[str, Any]) -> list[Any]:
    content: Any = message["content"]
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


def count_reply(tokens: int, setting: Setting) -> Mould:
    """Of `/v1/responses/input_tokens`."""
    body = _encode({"object": "response.input_tokens", "input_tokens": tokens})
    return Mould(model=setting.model, pieces=[body], flaws=_FLAWS)


def _response(
    request: ResponseRequest,
    choice: Choice,
    items: list[dict[str, Any]],
    usage: dict[str, Any] | None,
    setting: Setting,
) -> dict[str, Any]:
    reason = {"length": "max_output_tokens", "refusal": None if choice.tokens else "content_filter"}.get(choice.finish)
    fields: dict[str, Any] = {
        **_shell(request, setting),
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": items,
    }
    if setting.usage:
        fields["usage"] = usage
    if not reason:
        fields["completed_at"] = DATE
    return fields


def _shell(request: ResponseRequest, setting: Setting) -> dict[str, Any]:
    return {
        "id": f"resp_{ID}",
        "object": "response",
        "created_at": DATE,
        "completed_at": None,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": setting.model,
        "output": [],
        **request.echoed,
    }


def _items(request: ResponseRequest, choice: Choice, sealed: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if request.thinks and choice.thoughts:
        summary = [{"type": "summary_text", "text": "".join(choice.thoughts)}] if request.summarizes else []
        item: dict[str, Any] = {"id": f"rs_{ID}", "type": "reasoning", "summary": summary}
        items.append({**item, "encrypted_content": sealed} if request.seals else item)
    for index, call in enumerate(choice.calls):
        if call.tool.kind == "custom":
            named = {"id": f"ctc_{ID}{index}", "type": "custom_tool_call", "input": call.arguments}
        else:
            named = {
                "id": f"fc_{ID}{index}",
                "type": "function_call",
                "status": "completed",
                "arguments": call.arguments,
            }
        items.append({**named, "call_id": call.id, "name": call.tool.name})
    if choice.refused and choice.tokens:
        items.append(_message([{"type": "refusal", "refusal": choice.text}], "completed"))
    elif choice.tokens:
        part = {
            "type": "output_text",
            "annotations": [],
            "logprobs": _logprobs(request, choice.tokens),
            "text": choice.text,
        }
        items.append(_message([part], "incomplete" if choice.finish == "length" else "completed"))
    return items


def _message(content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {"id": f"msg_{ID}", "type": "message", "status": status, "content": content, "role": "assistant"}


def _logprobs(request: ResponseRequest, tokens: list[str]) -> list[dict[str, Any]]:
    if request.top_logprobs is None:
        return []
    return [token_logprob(token, request.top_logprobs) for token in tokens]


def _told_logprobs(request: ResponseRequest, tokens: list[str]) -> list[dict[str, Any]]:
    """As events have them: without the bytes."""

    def without_bytes(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if name != "bytes"}

    return [
        {**without_bytes(found), "top_logprobs": [without_bytes(other) for other in found["top_logprobs"]]}
        for found in _logprobs(request, tokens)
    ]


class _Stream:
    """Writes the events of one response; numbers them."""

    def __init__(self, request: ResponseRequest, behaviour: Behaviour) -> None:
        self.events: list[bytes] = []
        self.delta = 0
        """The first event that adds something."""
        self._request = request
        self._size = max(1, behaviour.tokens_per_event)

    def run(self, items: list[dict[str, Any]], response: dict[str, Any]) -> None:
        begun = {**response, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
        begun["completed_at"] = None
        self._add("response.created", response=begun)
        self._add("response.in_progress", response=begun)
        for index, item in enumerate(items):
            match item["type"]:
                case "reasoning":
                    self._reasoning(index, item)
                case "function_call":
                    self._call(index, item, "arguments", "response.function_call_arguments")
                case "custom_tool_call":
                    self._call(index, item, "input", "response.custom_tool_call_input")
                case _:
                    self._message(index, item)
        self._add(f"response.{response['status']}", response=response)

    def _add(self, kind: str, **fields: Any) -> None:
        body = _encode({"type": kind, "sequence_number": len(self.events), **fields})
        if not self.delta and kind.endswith(".delta"):
            self.delta = len(self.events)
        self.events.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), body))

    def _parts(self, text: str) -> list[list[str]]:
        tokens = split_tokens(text)
        return [tokens[start : start + self._size] for start in range(0, len(tokens), self._size)]

    def _reasoning(self, index: int, item: dict[str, Any]) -> None:
        self._add("response.output_item.added", output_index=index, item={**item, "summary": []})
        for number, part in enumerate(item["summary"]):
            at = {"item_id": item["id"], "output_index": index, "summary_index": number}
            self._add("response.reasoning_summary_part.added", **at, part={"type": "summary_text", "text": ""})
            for tokens in self._parts(part["text"]):
                self._add("response.reasoning_summary_text.delta", **at, delta="".join(tokens))
            self._add("response.reasoning_summary_text.done", **at, text=part["text"])
            self._add("response.reasoning_summary_part.done", **at, part=part)
        self._add("response.output_item.done", output_index=index, item=item)

    def _call(self, index: int, item: dict[str, Any], value: str, kind: str) -> None:
        opened = {**item, value: "", **({"status": "in_progress"} if "status" in item else {})}
        self._add("response.output_item.added", output_index=index, item=opened)
        at = {"item_id": item["id"], "output_index": index}
        for tokens in self._parts(item[value]):
            self._add(f"{kind}.delta", **at, delta="".join(tokens))
        self._add(f"{kind}.done", **at, **{value: item[value]})
        self._add("response.output_item.done", output_index=index, item=item)

    def _message(self, index: int, item: dict[str, Any]) -> None:
        self._add(
            "response.output_item.added", output_index=index, item={**item, "status": "in_progress", "content": []}
        )
        part = item["content"][0]
        at = {"item_id": item["id"], "output_index": index, "content_index": 0}
        name = "refusal" if part["type"] == "refusal" else "text"
        kind = "response.refusal" if name == "refusal" else "response.output_text"
        told = {"logprobs": []} if name == "text" else {}
        self._add("response.content_part.added", **at, part={**part, name: "", **told})
        for tokens in self._parts(part[name]):
            if name == "text":
                told = {"logprobs": _told_logprobs(self._request, tokens)}
            self._add(f"{kind}.delta", **at, delta="".join(tokens), **told)
        if name == "text":
            told = {"logprobs": _told_logprobs(self._request, split_tokens(part["text"]))}
        self._add(f"{kind}.done", **at, **{name: part[name]}, **told)
        self._add("response.content_part.done", **at, part=part)
        self._add("response.output_item.done", output_index=index, item=item)
