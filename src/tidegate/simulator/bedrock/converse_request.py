"""Reads a Converse request as strictly as Bedrock does. Source: botocore's model of bedrock-runtime."""

import re
from typing import Any, Final

import msgspec

from tidegate.simulator.anthropic.blocks import DIALECT, REDACTED
from tidegate.simulator.bedrock.fields import Fields, invalid
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Conversation, Tool
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.signatures import is_ours

_KNOWN: Final = frozenset(
    """additionalModelRequestFields additionalModelResponseFieldPaths guardrailConfig inferenceConfig messages
    outputConfig performanceConfig promptVariables requestMetadata serviceTier system toolConfig""".split()
)
_COUNTED: Final = frozenset(("messages", "system", "toolConfig", "additionalModelRequestFields"))
_BLOCKS: Final = frozenset(
    """audio cachePoint citationsContent document guardContent image reasoningContent searchResult text toolResult
    toolUse video""".split()
)
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NO_TOOLS: Final = "The toolConfig field must be defined when using toolUse and toolResult content blocks."
_MEDIA_TOKENS: Final = 64


class ConverseRequest(Conversation, kw_only=True):
    """What an answer depends on."""


def read_converse(fields: Fields, stream: bool, behaviour: Behaviour, *, counting: bool = False) -> ConverseRequest:
    """`counting`: of CountTokens, which takes less. Raises Rejection."""
    fields.only(_COUNTED if counting else _KNOWN)
    inference = fields.inner("inferenceConfig") or Fields({}, "inferenceConfig")
    inference.only(frozenset({"maxTokens", "temperature", "topP", "stopSequences"}))
    inference.number("temperature", 0, 1)
    inference.number("topP", 0, 1)
    tools, choice = _read_tools(fields)
    said = [_text(block) for block in fields.each("system")]
    turns = _read_turns(fields)
    uses_tools = any(block.get("toolUse") or block.get("toolResult") for _, blocks in turns for block in blocks)
    if uses_tools and fields.get("toolConfig") is None:
        raise invalid(_NO_TOOLS)
    said += [f"{role}\n{_text(block)}" for role, blocks in turns for block in blocks]
    last = turns[-1][1]
    prompt = "\n".join([*said, *(tool.name for tool in tools)]).encode("utf-8", "surrogatepass")
    media = sum(1 for _, blocks in turns for block in blocks if block.values.keys() & {"image", "document", "video"})
    return ConverseRequest(
        prompt=prompt,
        prompt_tokens=estimate_tokens(prompt) + media * _MEDIA_TOKENS,
        last_text=" ".join(block.get("text") or "" for block in last),
        answers_tool=any(block.get("toolResult") for block in last),
        stream=stream,
        limit=inference.whole("maxTokens", 1, behaviour.max_output_tokens),
        stop=inference.texts("stopSequences"),
        tools=tools,
        tool_choice=choice,
        parallel=_parallel(fields),
        json_schema=_read_format(fields),
        thinks=_thinks(fields),
    )


def _read_turns(fields: Fields) -> list[tuple[str, list[Fields]]]:
    fields.needed_items("messages")
    turns: list[tuple[str, list[Fields]]] = []
    open_ids: list[str] = []
    for message in fields.each("messages"):
        message.only(frozenset({"role", "content"}))
        role = message.choice("role", ("user", "assistant"))
        if role is None:
            raise message.missing(message.path("role"))
        if not turns and role != "user":
            raise invalid("A conversation must start with a user message. Try again with a conversation that does.")
        if turns and turns[-1][0] == role:
            raise invalid(f"{message.at}: roles must alternate between user and assistant")
        message.needed_items("content")
        blocks = message.each("content")
        for block in blocks:
            _check_block(block, role)
        _check_results(message.at, open_ids, blocks)
        open_ids = [block.needed_inner("toolUse").needed_text("toolUseId") for block in blocks if block.get("toolUse")]
        turns.append((role, blocks))
    if turns[-1][0] == "assistant" and open_ids:
        raise invalid("The conversation ends with toolUse blocks that nobody has answered.")
    return turns


def _check_block(block: Fields, role: str) -> None:
    if len(block.values) != 1:
        raise invalid(f"The content block object at {block.at} must set one of the following keys: {sorted(_BLOCKS)}.")
    block.only(_BLOCKS)
    text = block.text("text")
    if text is not None and not text.strip():
        raise invalid(f"The text field in the ContentBlock object at {block.at} is blank. Add text to it.")
    use, result, thought = block.inner("toolUse"), block.inner("toolResult"), block.inner("reasoningContent")
    if (use is not None or thought is not None) and role != "assistant":
        raise invalid(f"{block.at}: a user's message has neither toolUse nor reasoningContent")
    if result is not None and role != "user":
        raise invalid(f"{block.at}: an assistant's message has no toolResult")
    if use is not None:
        use.only(frozenset({"toolUseId", "name", "input", "type"}))
        if not isinstance(use.get("input"), dict):
            raise invalid(
                f"The format of the value at {use.path('input')} is invalid. Provide a json object for the field."
            )
        if _TOOL_NAME.fullmatch(use.needed_text("name")) is None:
            raise invalid(f"{use.path('name')}: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+")
    if thought is not None:
        _check_thought(thought)


def _check_thought(thought: Fields) -> None:
    told, sealed = thought.inner("reasoningText"), thought.text("redactedContent")
    if told is not None:
        good = is_ours(DIALECT, told.text("signature", "") or "", told.needed_text("text"))
    else:
        good = is_ours(DIALECT, sealed or "", REDACTED)
    if not good:
        raise invalid(f"{thought.at}: Invalid `signature` in `thinking` block")


def _check_results(at: str, open_ids: list[str], blocks: list[Fields]) -> None:
    results = [block.needed_inner("toolResult") for block in blocks if block.get("toolResult")]
    ids = [result.needed_text("toolUseId") for result in results]
    missing = [name for name in open_ids if name not in ids]
    if missing:
        raise invalid(f"Expected toolResult blocks at {at}.content for the following Ids: {', '.join(missing)}")
    if len(ids) > len(open_ids) or set(ids) - set(open_ids):
        text = f"The number of toolResult blocks at {at}.content exceeds the number of toolUse blocks of previous turn."
        raise invalid(text)
    for result in results:
        result.only(frozenset({"toolUseId", "content", "status", "type"}))
        result.choice("status", ("success", "error"))
        result.items("content")


def _read_tools(fields: Fields) -> tuple[tuple[Tool, ...], str]:
    config = fields.inner("toolConfig")
    if config is None:
        return (), "auto"
    config.only(frozenset({"tools", "toolChoice"}))
    config.needed_items("tools")
    tools: list[Tool] = []
    for one in config.each("tools"):
        one.only(frozenset({"toolSpec", "systemTool", "cachePoint"}))
        spec = one.inner("toolSpec")
        if spec is None:
            continue
        spec.only(frozenset({"name", "description", "inputSchema", "strict"}))
        name = spec.needed_text("name")
        if _TOOL_NAME.fullmatch(name) is None:
            raise invalid(f"{spec.path('name')}: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+")
        if spec.text("description") == "":
            raise spec.empty(spec.path("description"))
        schema = spec.needed_inner("inputSchema").needed_inner("json")
        if schema.get("type") != "object":
            raise invalid(f"The value at {schema.path('type')} must be one of the following: object.")
        tools.append(Tool("function", name, schema.values))
    choice = config.inner("toolChoice")
    if choice is None:
        return tuple(tools), "auto"
    choice.only(frozenset({"auto", "any", "tool"}))
    named = choice.inner("tool")
    if named is not None:
        return tuple(tools), f"={named.needed_text('name')}"
    return tuple(tools), "required" if choice.get("any") is not None else "auto"


def _read_format(fields: Fields) -> dict[str, Any] | None:
    config = fields.inner("outputConfig")
    wanted = None if config is None else config.inner("textFormat")
    if wanted is None:
        return None
    wanted.choice("type", ("json_schema",))
    text = wanted.needed_inner("structure").needed_inner("jsonSchema").needed_text("schema")
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise invalid("outputConfig.textFormat.structure.jsonSchema.schema is no JSON Schema") from error


def _thinks(fields: Fields) -> bool:
    more = fields.inner("additionalModelRequestFields")
    thinking = None if more is None else more.inner("thinking")
    return thinking is not None and thinking.text("type") in ("enabled", "adaptive")


def _parallel(fields: Fields) -> bool:
    """Claude's own setting, for which Converse has no place of its own."""
    more = fields.inner("additionalModelRequestFields")
    choice = None if more is None else more.inner("tool_choice")
    return choice is None or not choice.flag("disable_parallel_tool_use")


def _text(block: Fields) -> str:
    text = block.get("text")
    return text if isinstance(text, str) else msgspec.json.encode(block.values).decode()
