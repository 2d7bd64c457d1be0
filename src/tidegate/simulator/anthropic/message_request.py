"""Reads a Messages request as strictly as Anthropic does."""

import json
import re
from typing import Any, Final, cast

from tidegate.simulator.anthropic.blocks import STRICT_VERSION, Piece, read_marker, read_texts
from tidegate.simulator.anthropic.fields import Fields
from tidegate.simulator.anthropic.turns import Turn, check_thoughts, read_turns
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Conversation, Tool
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.surface import Need

_KNOWN: Final = frozenset(
    """cache_control container context_management diagnostics fallbacks inference_geo max_tokens mcp_servers messages
    metadata model output_config output_format service_tier speed stop_sequences stream system temperature thinking
    tool_choice tools top_k top_p user_profile_id""".split()
)
_COUNTED: Final = _KNOWN - frozenset(
    "container diagnostics fallbacks inference_geo max_tokens metadata service_tier stop_sequences stream "
    "temperature top_k top_p".split()
)
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_SERVER_TOOLS: Final = (
    "bash_ text_editor_ computer_ web_search_ web_fetch_ code_execution_ memory_ tool_search_tool_ browser_ mcp_toolset"
).split()
_TOOL_FIELDS: Final = frozenset(
    """type name description input_schema strict cache_control defer_loading input_examples eager_input_streaming
    allowed_callers""".split()
)
_LEAST_BUDGET: Final = 1024
_MESSAGE_TOKENS: Final = 4
_MOST_MARKERS: Final = 4
_UNHELD: Final = ("minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems")
"""Keywords of schemas that answers cannot be held to."""


class MessageRequest(Conversation, kw_only=True):
    """What an answer depends on."""

    cacheable: bytes
    """The beginning of the prompt up to its last cache marker; empty without one."""
    cacheable_tokens: int
    cache_ttl: str
    """Of the last marker."""
    shows_thoughts: bool
    """False: thoughts are signed but not told."""
    needs: tuple[Need, ...]


def read_message(fields: Fields, version: bytes, behaviour: Behaviour, *, counting: bool = False) -> MessageRequest:
    """`counting`: of `count_tokens`, which takes less. Raises Rejection."""
    if behaviour.strict:
        fields.only(_COUNTED if counting else _KNOWN)
    limit = None if counting else _read_limit(fields, behaviour)
    tools, tool_pieces = _read_tools(fields)
    system = read_texts(fields, "system", "system")
    turns = read_turns(fields, version)
    pieces = [*tool_pieces, *system, *(piece for turn in turns for piece in turn.pieces)]
    if read_marker(fields):
        pieces[-1].marked = read_marker(fields)
    _check_plain_fields(fields, version)
    mode, shown = _read_thinking(fields, limit)
    choice, parallel = _read_tool_choice(fields, tools)
    if mode in ("enabled", "adaptive") and (choice.startswith("=") or choice == "required"):
        raise Rejection(400, "Thinking may not be enabled when tool_choice forces tool use.", param="tool_choice")
    if mode == "enabled":
        check_thoughts(turns)
    prompt, cacheable, ttl = _join(pieces, turns)
    extra = sum(piece.extra_tokens for piece in pieces) + _MESSAGE_TOKENS * len(turns)
    answers_tool = any(piece.kind == "tool_result" for piece in turns[-1].pieces)
    return MessageRequest(
        prompt=prompt,
        prompt_tokens=estimate_tokens(prompt) + extra,
        last_text=" ".join(piece.text for piece in turns[-1].pieces if piece.kind == "text"),
        answers_tool=answers_tool,
        stream=fields.flag("stream"),
        limit=limit,
        stop=_read_stop(fields),
        tools=tools,
        tool_choice=choice,
        parallel=parallel,
        json_schema=_read_format(fields),
        thinks=mode in ("enabled", "adaptive") or (mode == "between_tools" and answers_tool),
        cacheable=cacheable,
        cacheable_tokens=estimate_tokens(cacheable),
        cache_ttl=ttl,
        shows_thoughts=shown,
        needs=tuple(Need("file", piece.file) for turn in turns for piece in turn.pieces if piece.file),
    )


def _join(pieces: list[Piece], turns: list[Turn]) -> tuple[bytes, bytes, str]:
    """→ the prompt, its part up to the last marker, and that marker's ttl."""
    marked = [index for index, piece in enumerate(pieces) if piece.marked]
    if len(marked) > _MOST_MARKERS:
        text = f"A maximum of {_MOST_MARKERS} blocks with cache_control may be provided. Found {len(marked)}."
        raise Rejection(400, text)
    roles = {id(turn.pieces[0]): turn.role for turn in turns if turn.pieces}
    texts = [f"{roles.get(id(piece), '')}\n{piece.kind}\n{piece.text}\n".encode() for piece in pieces]
    if not marked:
        return b"".join(texts), b"", ""
    return b"".join(texts), b"".join(texts[: marked[-1] + 1]), pieces[marked[-1]].marked


def _read_limit(fields: Fields, behaviour: Behaviour) -> int:
    limit = fields.whole("max_tokens", 0)
    if limit is None:
        raise fields.missing("max_tokens")
    if limit > behaviour.max_output_tokens:
        text = (
            f"max_tokens: {limit} > {behaviour.max_output_tokens}, which is the maximum allowed number of output tokens "
            f"for {fields.get('model')}"
        )
        raise Rejection(400, text, param="max_tokens")
    return limit


def _check_plain_fields(fields: Fields, version: bytes) -> None:
    samplers = [name for name in ("temperature", "top_p", "top_k") if fields.get(name) is not None]
    if version == STRICT_VERSION and samplers:
        name = samplers[0]
        raise Rejection(400, f"{name}: {name} is not supported with anthropic-version 2026-10-21", param=name)
    for name in ("temperature", "top_p"):
        value = fields.number(name, -1e9, 1e9)
        if value is not None and not 0 <= value <= 1:
            raise Rejection(400, f"{name}: range: 0..1", param=name)
    fields.whole("top_k", 0)
    metadata = fields.inner("metadata")
    if metadata is not None:
        metadata.only(frozenset({"user_id", "sim"}))
        metadata.text("user_id")
    fields.choice("service_tier", ("auto", "standard_only"))
    fields.choice("speed", ("standard", "fast"))


def _read_thinking(fields: Fields, limit: int | None) -> tuple[str, bool]:
    """→ the kind of thinking, and whether thoughts are shown."""
    thinking = fields.inner("thinking")
    if thinking is None:
        return "disabled", False
    mode = thinking.needed_text("type")
    if mode not in ("enabled", "adaptive", "disabled", "between_tools"):
        raise thinking.wrong_value("thinking.type", mode, ("enabled", "adaptive", "disabled", "between_tools"))
    known = {"enabled": {"budget_tokens", "display"}, "adaptive": {"display"}}.get(mode, set[str]())
    Fields(thinking.values, f"thinking.{mode}").only(frozenset({"type", *known}))
    if mode == "enabled":
        inner = Fields(thinking.values, "thinking.enabled")
        budget = inner.whole("budget_tokens", _LEAST_BUDGET)
        if budget is None:
            raise inner.missing("thinking.enabled.budget_tokens")
        if limit is not None and budget >= limit:
            raise Rejection(400, "`max_tokens` must be greater than `thinking.budget_tokens`.", param="max_tokens")
    if mode in ("enabled", "adaptive"):
        if fields.get("temperature") not in (None, 1):
            raise Rejection(400, "`temperature` may only be set to 1 when thinking is enabled.", param="temperature")
        if fields.get("top_k") is not None:
            raise Rejection(400, "`top_k` must be unset when thinking is enabled.", param="top_k")
    return mode, thinking.choice("display", ("summarized", "omitted"), "summarized") == "summarized"


def _read_stop(fields: Fields) -> tuple[str, ...]:
    found = fields.texts("stop_sequences")
    if any(not text.strip() for text in found):
        text = "stop_sequences: each stop sequence must contain non-whitespace"
        raise Rejection(400, text, param="stop_sequences")
    return found


def _read_tools(fields: Fields) -> tuple[tuple[Tool, ...], list[Piece]]:
    """→ the tools that the model may call, and all of them as parts of the prompt."""
    tools: list[Tool] = []
    pieces: list[Piece] = []
    names: set[str] = set()
    for tool in fields.each("tools"):
        kind = tool.text("type", "custom") or "custom"
        pieces.append(Piece(tool, "tool", json.dumps(tool.values)))
        if kind != "custom":
            if not kind.startswith(tuple(_SERVER_TOOLS)):
                text = f"{tool.at}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
                raise Rejection(400, text, param=tool.at)
            continue
        inner = Fields(tool.values, f"{tool.at}.custom")
        inner.only(_TOOL_FIELDS)
        name = inner.needed_text("name")
        if _TOOL_NAME.fullmatch(name) is None:
            at = inner.path("name")
            raise Rejection(400, f"{at}: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'", param=at)
        if name in names:
            raise Rejection(400, "tools: Tool names must be unique.", param="tools")
        names.add(name)
        schema = inner.needed_inner("input_schema")
        if schema.get("type") != "object":
            raise schema.wrong_value(schema.path("type"), schema.get("type"), ("object",))
        inner.text("description")
        tools.append(Tool("function", name, schema.values))
    return tuple(tools), pieces


def _read_tool_choice(fields: Fields, tools: tuple[Tool, ...]) -> tuple[str, bool]:
    """→ the choice in a Conversation's words, and whether several calls may be made at once."""
    choice = fields.inner("tool_choice")
    if choice is None:
        return "auto", True
    if not fields.get("tools"):
        raise Rejection(400, "tool_choice may only be specified while providing tools.", param="tool_choice")
    kind = choice.needed_text("type")
    if kind not in ("auto", "any", "tool", "none"):
        raise choice.wrong_value("tool_choice.type", kind, ("auto", "any", "tool", "none"))
    inner = Fields(choice.values, f"tool_choice.{kind}")
    several = set[str]() if kind == "none" else {"disable_parallel_tool_use"}
    inner.only(frozenset({"type", *several, *({"name"} if kind == "tool" else set[str]())}))
    parallel = not inner.flag("disable_parallel_tool_use")
    if kind == "tool":
        name = inner.needed_text("name")
        if name not in {tool.name for tool in tools}:
            raise Rejection(400, f"Tool '{name}' not found in provided tools", param="tool_choice")
        return f"={name}", parallel
    return {"any": "required"}.get(kind, kind), parallel


def _read_format(fields: Fields) -> dict[str, Any] | None:
    config = fields.inner("output_config")
    wanted = fields.inner("output_format")  # as the beta had it; still taken
    if config is not None:
        config.only(frozenset({"effort", "format", "task_budget"}))
        config.choice("effort", ("low", "medium", "high", "xhigh", "max"))
        wanted = config.inner("format") or wanted
    if wanted is None:
        return None
    wanted.only(frozenset({"type", "schema"}))
    if wanted.needed_text("type") != "json_schema":
        raise wanted.wrong_value(wanted.path("type"), wanted.get("type"), ("json_schema",))
    schema = wanted.needed_inner("schema").values
    _check_closed(schema)
    return schema


def _check_closed(schema: object) -> None:
    """Objects of a schema that is enforced name all that they may hold."""
    if isinstance(schema, list):
        for item in cast(list[object], schema):
            _check_closed(item)
    if not isinstance(schema, dict):
        return
    fields = cast(dict[str, object], schema)
    if fields.get("type") == "object" and fields.get("additionalProperties") is not False:
        text = "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
        raise Rejection(400, text, param="output_config.format.schema")
    for name in _UNHELD:
        if isinstance(fields.get("type"), str) and name in fields:
            text = f"output_config.format.schema: For '{fields['type']}' type, property '{name}' is not supported"
            raise Rejection(400, text, param="output_config.format.schema")
    for item in fields.values():
        _check_closed(item)
