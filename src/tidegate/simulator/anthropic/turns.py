"""Reads `messages` and checks their order: who speaks first, tool calls and their results, thoughts before calls."""

from msgspec import Struct

from tidegate.simulator.anthropic.blocks import Piece, read_block
from tidegate.simulator.anthropic.fields import Fields
from tidegate.simulator.rejection import Rejection


class Turn(Struct):
    """Messages of one role, one after the other, are one turn."""

    role: str
    at: str
    pieces: list[Piece]


def read_turns(fields: Fields, version: bytes) -> list[Turn]:
    """Raises Rejection."""
    if not fields.items("messages"):
        if fields.get("messages") is None:
            raise fields.missing("messages")
        raise Rejection(400, "messages: at least one message is required", param="messages")
    messages = fields.each("messages")
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        message.only(frozenset({"role", "content"}))
        role = message.needed_text("role")
        if role not in ("user", "assistant", "system"):
            raise message.wrong_value(message.path("role"), role, ("user", "assistant", "system"))
        if index == 0 and role != "user":
            raise Rejection(400, 'messages: first message must use the "user" role', param="messages")
        pieces = _read_content(message, role, version, is_last=index == len(messages) - 1)
        if turns and turns[-1].role == role:
            turns[-1].pieces.extend(pieces)
        else:
            turns.append(Turn(role, message.at, pieces))
    _check_tools([turn for turn in turns if turn.role != "system"])
    return turns


def _read_content(message: Fields, role: str, version: bytes, is_last: bool) -> list[Piece]:
    content = message.get("content")
    if content is None:
        raise message.missing(message.path("content"))
    if isinstance(content, str):
        pieces = [Piece(Fields({}, message.at), "text", content)] if content else []
        if content and not content.strip():
            raise Rejection(400, "messages: text content blocks must contain non-whitespace text", param=message.at)
    else:
        pieces = [read_block(block, role, version) for block in message.each("content")]
    if not pieces and not (is_last and role == "assistant"):
        text = f"{message.at}: all messages must have non-empty content except for the optional final assistant message"
        raise Rejection(400, text, param=message.at)
    if is_last and role == "assistant" and pieces and pieces[-1].kind == "text" and pieces[-1].text[-1:].isspace():
        raise Rejection(400, "messages: final assistant content cannot end with trailing whitespace", param=message.at)
    return pieces


def _check_tools(turns: list[Turn]) -> None:
    open_ids: list[str] = []
    used: set[str] = set()
    for turn in turns:
        results = [piece.fields.needed_text("tool_use_id") for piece in turn.pieces if piece.kind == "tool_result"]
        for result in results:
            if result not in open_ids:
                text = (
                    f"{turn.at}: unexpected `tool_use_id` found in `tool_result` blocks: {result}. Each `tool_result` "
                    "block must have a corresponding `tool_use` block in the previous message."
                )
                raise Rejection(400, text, param=turn.at)
        _check_answered([name for name in open_ids if name not in results], turn.at)
        _check_results_first(turn)
        open_ids = [piece.fields.needed_text("id") for piece in turn.pieces if piece.kind == "tool_use"]
        if used & set(open_ids) or len(set(open_ids)) < len(open_ids):
            raise Rejection(400, f"{turn.at}: `tool_use` ids must be unique", param=turn.at)
        used |= set(open_ids)
    _check_answered(open_ids, turns[-1].at)


def _check_answered(left: list[str], at: str) -> None:
    if left:
        text = (
            f"{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(left)}. Each "
            "`tool_use` block must have a corresponding `tool_result` block in the next message."
        )
        raise Rejection(400, text, param=at)


def _check_results_first(turn: Turn) -> None:
    kinds = [piece.kind == "tool_result" for piece in turn.pieces]
    if any(kinds) and not all(kinds[: sum(kinds)]):
        text = f"{turn.at}: `tool_result` blocks must come before any other content of the message"
        raise Rejection(400, text, param=turn.at)


def check_thoughts(turns: list[Turn]) -> None:
    """With thinking enabled, a turn that waits for results begins with its thoughts."""
    if turns[-1].role == "assistant":
        raise Rejection(400, "messages: prefill is not supported when `thinking` is enabled")
    spoken = [turn for turn in turns if turn.role == "assistant"]
    if not spoken or not any(piece.kind == "tool_result" for piece in turns[-1].pieces):
        return
    last = spoken[-1]
    kind = last.pieces[0].kind
    if kind not in ("thinking", "redacted_thinking"):
        text = (
            f"{last.at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kind}`. When `thinking` "
            "is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of "
            "`tool_use` and `tool_result` blocks)."
        )
        raise Rejection(400, text, param=last.at)
