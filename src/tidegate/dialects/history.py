"""What every encoder of a chat history needs: is it whole, what is the system's, whose turn is it."""

from typing import Literal

import msgspec
from msgspec import Struct

from tidegate.dialects.canon import Item, Message, Reasoning, Text, ToolCall, ToolResult
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field


class Turn(Struct):
    """Everything that one side said before the other spoke again. Tool results are the user's."""

    role: Literal["user", "assistant"]
    items: list[Item]


def check_tool_history(items: list[Item], field: str) -> None:
    """Every result answers a call that came before it. Raises UnreadableRequest."""
    called: set[str] = set()
    for item in items:
        if isinstance(item, ToolCall):
            called.add(item.id)
        elif isinstance(item, ToolResult) and item.call_id not in called:
            raise bad_field(
                f"`{field}` has a tool result for `{item.call_id}`, but no tool call of that id before it. "
                "Send the assistant's message with that call too.",
                field,
            )


def split_system(items: list[Item]) -> tuple[list[Message], list[Item]]:
    """(system and developer messages in order, the rest): for upstreams that know system text at the top only."""
    system: list[Message] = []
    rest: list[Item] = []
    for item in items:
        if isinstance(item, Message) and item.role in ("system", "developer"):
            system.append(item)
        else:
            rest.append(item)
    return system, rest


def turns(items: list[Item]) -> list[Turn]:
    """Neighbours of one side become one turn, as upstreams want them that insist on alternation.

    `items` has no system messages: see `split_system`.
    """
    grouped: list[Turn] = []
    for item in items:
        role = _side(item)
        if grouped and grouped[-1].role == role:
            grouped[-1].items.append(item)
        else:
            grouped.append(Turn(role, [item]))
    return grouped


def tool_names(items: list[Item]) -> dict[str, str]:
    """Call id → tool name, for upstreams whose results need the name."""
    return {item.id: item.name for item in items if isinstance(item, ToolCall)}


def plain_text(message: Message) -> str:
    """The message's text parts, one after the other."""
    return "".join(part.text for part in message.parts if isinstance(part, Text))


def object_text(text: str | None, where: str) -> str:
    """Tool arguments out of a client's history as the text of a JSON object: "" and null are the empty object.

    Valid text stays byte for byte. Raises UnreadableRequest.
    """
    if text is None or not text.strip():
        return "{}"
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _broken_arguments(where) from error
    if value is None:
        return "{}"
    if not isinstance(value, dict):
        raise _broken_arguments(where)
    return text


def _broken_arguments(where: str) -> UnreadableRequest:
    message = f"`{where}` is not the text of a JSON object. Send the arguments as the model gave them."
    return bad_field(message, where)


def _side(item: Item) -> Literal["user", "assistant"]:
    if isinstance(item, Reasoning | ToolCall):
        return "assistant"
    return "assistant" if isinstance(item, Message) and item.role == "assistant" else "user"
