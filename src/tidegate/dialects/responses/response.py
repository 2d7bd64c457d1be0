"""The response object and its output items, as a client of Responses gets them.

Source: `openai.types.responses.response`, `response_output_message`, `response_reasoning_item`,
`response_function_tool_call` and `response_custom_tool_call` of the official SDK. Open Responses (`ResponseResource` of its
OpenAPI document) wants every member there, where the SDK's types let many be absent.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import Citation, Finish, Message, OutputItem, Reasoning, Refusal, Text, ToolCall
from tidegate.dialects.fields import present
from tidegate.dialects.responses.additional_tools import offered_tools
from tidegate.dialects.responses.namespaces import namespaces_of
from tidegate.dialects.responses.seal import sealed, sealed_call
from tidegate.dialects.responses.usage import usage_object

Json = dict[str, Any]

_ECHOED: Final[dict[str, Raw]] = {
    "frequency_penalty": Raw(b"0.0"),
    "instructions": Raw(b"null"),
    "max_output_tokens": Raw(b"null"),
    "max_tool_calls": Raw(b"null"),
    "metadata": Raw(b"{}"),
    "parallel_tool_calls": Raw(b"true"),
    "presence_penalty": Raw(b"0.0"),
    "previous_response_id": Raw(b"null"),
    "prompt_cache_key": Raw(b"null"),
    "reasoning": Raw(b'{"effort":null,"summary":null}'),
    "safety_identifier": Raw(b"null"),
    "store": Raw(b"true"),
    "temperature": Raw(b"1.0"),
    "text": Raw(b'{"format":{"type":"text"}}'),
    "tool_choice": Raw(b'"auto"'),
    "top_logprobs": Raw(b"0"),
    "top_p": Raw(b"1.0"),
    "truncation": Raw(b'"disabled"'),
    "user": Raw(b"null"),
}
"""The request's settings that a response repeats, and what holds where the client set none."""
_WHOLE: Final = frozenset(("reasoning", "text"))
"""Of these objects, members that the client left out are told too."""
_TOOL_MEMBERS: Final[dict[bytes, tuple[str, ...]]] = {b'"function"': ("description", "parameters", "strict")}
"""Members that the SDK's types, or Open Responses' schemas, want to be there, null at least."""
_UNENDED: Final[Json] = {"completed_at": None, "incomplete_details": None}
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}

_encode = msgspec.json.encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_tools = msgspec.json.Decoder(list[dict[str, Raw]]).decode


class Names:
    """Ids that follow from the call's own: responses are kept by their ids, and upstreams' need not differ."""

    def __init__(self, view: View) -> None:
        self._stem = view.id
        self.response = f"resp_{view.id}"
        self._namespaces = namespaces_of(offered_tools(view.fields))

    def item(self, item: OutputItem, place: int) -> str:
        """`place` is the item's index in the output."""
        if isinstance(item, ToolCall):
            return f"{'ctc' if item.custom else 'fc'}_{self._stem}_{place}"
        return item.id or f"{'rs' if isinstance(item, Reasoning) else 'msg'}_{self._stem}_{place}"

    def called(self, call: ToolCall) -> Json:
        """The tool's name, and its namespace if the client has it in one."""
        found = self._namespaces.get(call.name)
        return {"name": call.name} if found is None else {"name": found[1], "namespace": found[0]}


class Shell:
    """What every response object of one call has in common: its id and the settings of the request."""

    def __init__(self, view: View, names: Names) -> None:
        self.names = names
        self._view = view
        self._tier: Json = {"service_tier": _asked(view, "service_tier", Raw(b'"auto"'))}
        fixed: Json = {
            "id": names.response,
            "object": "response",
            "created_at": view.time_ns // 1_000_000_000,
            "model": view.model,
            "background": False,
        }
        for name, default in _ECHOED.items():
            fixed[name] = _asked(view, name, default)
        fixed["tools"] = _tools(view)
        if view.previous:
            fixed["previous_response_id"] = view.previous
        # What the client wrote may be laid out over lines; an event is one line. Inside JSON strings no line can end.
        self._fixed = _encode(fixed)[:-1].replace(b"\n", b" ").replace(b"\r", b" ")

    def began(self) -> bytes:
        """In progress, with nothing in it yet."""
        return self._whole("in_progress", b"[]", {**_UNENDED, **self._tier, "error": None, "usage": None})

    def ended(self, output: bytes, finish: Finish, usage: Usage | None, tier: str) -> bytes:
        """`output` is the JSON list of items."""
        reason = _INCOMPLETE.get(finish.reason)
        more: Json = {
            "error": None,
            "usage": None if usage is None or usage.source == "unknown" else usage_object(usage),
            "service_tier": tier or "default",
        }
        more |= finish.beside(reason or "completed")
        if reason is None:
            now = self._view.time_ns if self._view.clock is None else self._view.clock.now_ns()
            return self._whole("completed", output, {**_UNENDED, **more, "completed_at": now // 1_000_000_000})
        return self._whole("incomplete", output, {**_UNENDED, **more, "incomplete_details": {"reason": reason}})

    def failed(self, output: bytes, problem: Problem, usage: Usage | None) -> bytes:
        """The SDK knows few codes: what the problem is called stands in `type`."""
        code = "rate_limit_exceeded" if problem.code == "rate_limit_exceeded" else "server_error"
        more: Json = {
            **_UNENDED,
            **self._tier,
            "error": {"code": code, "message": problem.message, "type": problem.code},
            "usage": None if usage is None or usage.source == "unknown" else usage_object(usage),
        }
        return self._whole("failed", output, more)

    def _whole(self, status: str, output: bytes, more: Json) -> bytes:
        told = _encode({"status": status, "output": Raw(output), **more})
        return self._fixed + b"," + told[1:]


def _asked(view: View, name: str, default: Raw) -> Raw:
    asked = view.fields.get(name)
    if asked is None or present(asked) is None:
        return default
    if name not in _WHOLE:
        return asked
    return Raw(_encode({**_decode_object(default), **_decode_object(asked)}))


def _tools(view: View) -> list[Json]:
    asked = view.fields.get("tools")
    if asked is None or present(asked) is None:
        return []
    tools: list[Json] = []
    for tool in _decode_tools(asked):
        absent = (name for name in _TOOL_MEMBERS.get(bytes(tool.get("type", b"")), ()) if name not in tool)
        tools.append({**tool, **dict.fromkeys(absent)})
    return tools


# Items.


def text_part(text: str, annotations: list[Json]) -> Json:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def refusal_part(text: str) -> Json:
    return {"type": "refusal", "refusal": text}


def annotation(citation: Citation, length: int) -> Json:
    """`length`: of the text so far, which is what is cited where the upstream does not say."""
    start, end = (0, length) if citation.start is None else (citation.start, citation.end)
    title = citation.title
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": title,
        "start_index": start,
        "end_index": length if end is None else end,
    }


def message_item(own: str, parts: list[Json], status: str) -> Json:
    return {"id": own, "type": "message", "status": status, "role": "assistant", "content": parts}


def reasoning_item(own: str, thought: Reasoning) -> Json:
    """A summary stands in `summary`, the thought itself in `content`."""
    told: Json = {"id": own, "type": "reasoning", "summary": []}
    if thought.text and thought.summary:
        told["summary"] = [{"type": "summary_text", "text": thought.text}]
    elif thought.text:
        told["content"] = [{"type": "reasoning_text", "text": thought.text}]
    encrypted = sealed(thought)
    if encrypted is not None:
        told["encrypted_content"] = encrypted
    return told


def signature_item(own: str, call: ToolCall) -> Json:
    """Stands before a tool call that its provider signed."""
    encrypted = sealed_call(call.id, call.signature)
    return {"id": own, "type": "reasoning", "summary": [], "encrypted_content": encrypted}


def call_item(own: str, call: ToolCall, names: Names, text: str, status: str) -> Json:
    called = names.called(call)
    if call.custom:
        return {"id": own, "type": "custom_tool_call", "call_id": call.id, **called, "input": text}
    return {"id": own, "type": "function_call", "status": status, "call_id": call.id, **called, "arguments": text}


def output_items(items: list[OutputItem], names: Names, finish: Finish) -> list[Json]:
    """Of a whole answer."""
    output: list[Json] = []
    last = "incomplete" if finish.reason in _INCOMPLETE else "completed"
    for place, item in enumerate(items):
        status = last if place == len(items) - 1 else "completed"
        if isinstance(item, ToolCall) and item.signature:
            own = names.item(Reasoning(), len(output))
            output.append(signature_item(own, item))
        own = names.item(item, len(output))
        if isinstance(item, Message):
            output.append(message_item(own, _message_parts(item), status))
        elif isinstance(item, Reasoning):
            output.append(reasoning_item(own, item))
        else:
            output.append(call_item(own, item, names, item.arguments, status))
    return output


def _message_parts(message: Message) -> list[Json]:
    parts: list[Json] = []
    for part in message.parts:
        if isinstance(part, Text):
            parts.append(text_part(part.text, [annotation(one, len(part.text)) for one in part.citations]))
        elif isinstance(part, Refusal):
            parts.append(refusal_part(part.text))
    return parts
