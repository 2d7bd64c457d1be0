"""Reads the `input` of a Responses request: its items, their ids, and that calls and outputs belong together."""

import json
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tidegate.simulator.openai.fields import Fields, as_fields
from tidegate.simulator.openai.rejection import Rejection, missing, wrong_type, wrong_value
from tidegate.simulator.signatures import is_ours
from tidegate.simulator.surface import Need

DIALECT: Final = "openai"
_ROLES: Final = ("assistant", "system", "developer", "user")
_SAID: Final = ("input_text", "input_image", "input_file")
_ANSWERED: Final = ("output_text", "refusal")
_HOSTED: Final = (
    "file_search_call web_search_call computer_call computer_call_output code_interpreter_call image_generation_call "
    "local_shell_call local_shell_call_output shell_call shell_call_output apply_patch_call apply_patch_call_output "
    "mcp_list_tools mcp_approval_request mcp_approval_response mcp_call tool_search_call compaction"
).split()
_IMAGE_TOKENS: Final = 255
_LONGEST_CALL_ID: Final = 64


class Item(Struct):
    kind: str
    text: str
    """As it counts."""
    role: str = ""
    call_id: str = ""
    tokens: int = 0
    """Beside the text's."""
    needs: Need | None = None


def read_items(fields: Fields) -> list[Item]:
    """Raises Rejection."""
    value = fields.get("input")
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        return [Item("message", value, "user")]
    items = [_read_item(as_fields(item, f"input[{index}]")) for index, item in enumerate(fields.needed_items("input"))]
    _check_calls(items, continues=fields.get("previous_response_id") is not None)
    _check_thoughts(fields, items)
    return items


def _read_item(item: Fields) -> Item:
    kind = item.text("type") or "message"
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(item)
    if kind not in _HOSTED:
        raise wrong_value(item.path("type"), kind, (*_READERS, *_HOSTED))
    return Item(kind, json.dumps(item.values))


def _read_message(item: Fields) -> Item:
    item.only(frozenset({"type", "role", "content", "id", "status", "phase"}))
    role = item.needed_text("role")
    if role not in _ROLES:
        raise wrong_value(item.path("role"), role, _ROLES)
    _check_id(item, "msg")
    content = item.get("content")
    if isinstance(content, str):
        return Item("message", content, role)
    if not isinstance(content, list):
        if content is None:
            raise missing(item.path("content"))
        raise wrong_type(item.path("content"), "one of a string or array of objects", content)
    texts: list[str] = []
    tokens = 0
    for part in item.each("content"):
        text, counted = _read_part(part, _ANSWERED if role == "assistant" else _SAID)
        texts.append(text)
        tokens += counted
    return Item("message", " ".join(texts), role, tokens=tokens)


def _read_part(part: Fields, supported: tuple[str, ...]) -> tuple[str, int]:
    kind = part.needed_text("type")
    if kind not in supported:
        raise wrong_value(part.path("type"), kind, supported)
    if kind == "refusal":
        return part.needed_text("refusal"), 0
    if kind in ("input_text", "output_text"):
        return part.needed_text("text"), 0
    if kind == "input_image":
        part.choice("detail", ("low", "high", "auto", "original"))
        found = part.text("image_url") or part.text("file_id")
        if found is None:
            raise missing(part.path("image_url"))
        return f"\0image\0{found}", _IMAGE_TOKENS
    found = part.text("file_data") or part.text("file_url") or part.text("file_id")
    if found is None:
        raise missing(part.path("file_id"))
    return found, 0


def _read_call(item: Fields) -> Item:
    _check_id(item, "fc")
    kind = item.needed_text("type")
    said = item.needed_text("name") + item.needed_text("arguments" if kind == "function_call" else "input")
    return Item(kind, said, call_id=_read_call_id(item))


def _read_custom_call(item: Fields) -> Item:
    _check_id(item, "ctc")
    return Item("custom_tool_call", item.needed_text("name") + item.needed_text("input"), call_id=_read_call_id(item))


def _read_output(item: Fields) -> Item:
    call_id = _read_call_id(item)
    output = item.get("output")
    if output is None:
        raise missing(item.path("output"))
    kind = item.needed_text("type")
    if isinstance(output, str):
        return Item(kind, output, call_id=call_id)
    parts = [_read_part(part, _SAID) for part in item.each("output")]
    return Item(kind, " ".join(text for text, _ in parts), call_id=call_id, tokens=sum(count for _, count in parts))


def _read_reasoning(item: Fields) -> Item:
    item.only(frozenset({"type", "id", "summary", "content", "encrypted_content", "status"}))
    _check_id(item, "rs")
    for part in item.each("summary"):
        part.choice("type", ("summary_text",))
        part.needed_text("text")
    if item.items("summary") is None:
        raise missing(item.path("summary"))
    sealed = item.text("encrypted_content")
    if sealed is not None and not is_ours(DIALECT, seal_parts(sealed)[0], ""):
        named = item.text("id") or "of the reasoning item"
        text = f"The encrypted content for item {named} could not be verified."
        raise Rejection(400, text, code="invalid_encrypted_content")
    needs = None if sealed is None else Need("seal", seal_parts(sealed)[1])
    return Item("reasoning", "", needs=needs)


def seal_parts(sealed: str) -> tuple[str, str]:
    """A ciphertext says which answer it came with: only the credential that got that one can send it back."""
    proof, _, answer = sealed.partition(".")
    return proof, answer


def _read_reference(item: Fields) -> Item:
    return Item("item_reference", "", needs=Need("item", item.needed_text("id")))


def _read_call_id(item: Fields) -> str:
    call_id = item.needed_text("call_id")
    if not 1 <= len(call_id) <= _LONGEST_CALL_ID:
        text = (
            f"Invalid '{item.path('call_id')}': string too {'long' if call_id else 'short'}. Expected a string with a "
            f"length between 1 and {_LONGEST_CALL_ID}, but got a string with length {len(call_id)} instead."
        )
        raise Rejection(400, text, param=item.path("call_id"), code="string_above_max_length")
    return call_id


def _check_id(item: Fields, prefix: str) -> None:
    name = item.text("id")
    if name is not None and not name.startswith(prefix):
        at = item.path("id")
        text = f"Invalid '{at}': '{name}'. Expected an ID that begins with '{prefix}'."
        raise Rejection(400, text, param=at, code="invalid_value")


def _check_calls(items: list[Item], *, continues: bool) -> None:
    """Each output follows its call, which an earlier response may hold, and each call has its output."""
    for call, output, word in (
        ("function_call", "function_call_output", "function call"),
        ("custom_tool_call", "custom_tool_call_output", "custom tool call"),
    ):
        called: set[str] = set()
        answered: set[str] = set()
        for item in items:
            if item.kind == call:
                called.add(item.call_id)
            elif item.kind == output:
                if item.call_id not in called and continues:
                    item.needs = Need("call", item.call_id)
                elif item.call_id not in called:
                    text = f"No tool call found for {word} output with call_id {item.call_id}."
                    raise Rejection(400, text, param="input")
                answered.add(item.call_id)
        for call_id in sorted(called - answered):
            raise Rejection(400, f"No tool output found for {word} {call_id}.", param="input")


def _check_thoughts(fields: Fields, items: list[Item]) -> None:
    """Reasoning is followed by what it led to."""
    for index, item in enumerate(items):
        if item.kind != "reasoning":
            continue
        after = items[index + 1] if index + 1 < len(items) else None
        if after is None or after.role in ("user", "system", "developer") or after.kind.endswith("_output"):
            name = fields.get("input")[index].get("id")
            text = f"Item '{name}' of type 'reasoning' was provided without its required following item."
            raise Rejection(400, text, param="input")


_READERS: Final[dict[str, Callable[[Fields], Item]]] = {
    "message": _read_message,
    "function_call": _read_call,
    "function_call_output": _read_output,
    "custom_tool_call": _read_custom_call,
    "custom_tool_call_output": _read_output,
    "reasoning": _read_reasoning,
    "item_reference": _read_reference,
}
