"""A client's messages and their blocks, to the hub's items.

Source: `anthropic.types.message_param` and `content_block_param` of the official SDK.
"""

from collections.abc import Iterator

from msgspec import Raw, Struct

from tidegate.dialects.anthropic.thoughts import read_thought
from tidegate.dialects.canon import (
    CacheMark,
    File,
    Image,
    Item,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field


class CacheControl(Struct):
    type: str
    ttl: str | None = None


class Source(Struct):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: "str | list[Block] | None" = None


class CitationsConfig(Struct):
    enabled: bool | None = None


class Block(Struct):
    """Any block of a request."""

    type: str
    text: str | None = None
    source: Source | str | None = None
    title: str | None = None
    context: str | None = None
    citations: CitationsConfig | list[Raw] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = NULL
    tool_use_id: str | None = None
    is_error: bool | None = None
    content: "str | list[Block] | None" = None
    cache_control: CacheControl | None = None


class MessageObject(Struct):
    role: str
    content: str | list[Block]


def cache_mark(control: CacheControl | None) -> CacheMark | None:
    return None if control is None else CacheMark(control.ttl or "")


def system_items(system: str | list[Block] | None) -> list[Item]:
    """Blocks stay apart: their borders and marks are the prompt cache's."""
    if system is None:
        return []
    if isinstance(system, str):
        return [Message("system", [Text(system)])] if system else []
    parts = [part for place, block in enumerate(system) for part in _system_parts(block, f"system[{place}]")]
    return [Message("system", parts)] if parts else []


def message_items(message: MessageObject, place: int) -> Iterator[Item]:
    """Raises UnreadableRequest."""
    where = f"messages[{place}]"
    content = message.content
    if message.role not in ("user", "assistant", "system"):
        raise bad_field(f"`{where}.role` is `{message.role}`: it can be user, assistant or system.", "messages")
    blocks = [Block("text", content)] if isinstance(content, str) else content
    if message.role == "assistant":
        yield from _said_by_model(blocks, where)
    elif message.role == "system":
        yield Message("system", _parts(blocks, f"{where}.content"))
    else:
        yield from _said_by_user(blocks, where)


_BILLING: str = "x-anthropic-billing-header:"


def _system_parts(block: Block, where: str) -> list[Part]:
    if block.text is not None and block.text.startswith(_BILLING):
        return []  # Claude Code's note to Anthropic's own servers: it changes with each call, and no model is meant by it
    return _part(block, where)


def _said_by_user(blocks: list[Block], where: str) -> Iterator[Item]:
    """Results first, as every upstream wants them, whatever was written before them."""
    said: list[Part] = []
    for place, block in enumerate(blocks):
        at = f"{where}.content[{place}]"
        if block.type != "tool_result":
            said += _part(block, at)
            continue
        if not block.tool_use_id:
            raise bad_field(f"`{at}.tool_use_id` is missing: say which call this answers.", "messages")
        inside = [Block("text", block.content)] if isinstance(block.content, str) else block.content or []
        parts = _parts(inside, f"{at}.content")
        yield ToolResult(block.tool_use_id, parts, is_error=block.is_error, cache=cache_mark(block.cache_control))
    if said:
        yield Message("user", said)


def _said_by_model(blocks: list[Block], where: str) -> Iterator[Item]:
    said: list[Part] = []
    call_signature = ""
    for place, block in enumerate(blocks):
        at = f"{where}.content[{place}]"
        if block.type not in ("thinking", "redacted_thinking", "tool_use"):
            said += _part(block, at)
            continue
        if said:
            yield Message("assistant", said)
            said = []
        if block.type == "tool_use":
            yield _call(block, call_signature, at)
            call_signature = ""
            continue
        thought = read_thought(block.thinking or "", block.signature or "", block.data or "")
        if isinstance(thought, Reasoning):
            yield thought
        else:
            call_signature = thought
    if said:
        yield Message("assistant", said)


def _call(block: Block, signature: str, where: str) -> ToolCall:
    if not block.id or not block.name:
        raise bad_field(f"`{where}` needs an `id` and a `name`.", "messages")
    raw = present(block.input)
    arguments = "{}" if raw is None else bytes(raw).decode()
    if not arguments.startswith("{"):
        raise bad_field(f"`{where}.input` must be an object.", "messages")
    return ToolCall(block.id, block.name, arguments, signature=signature, cache=cache_mark(block.cache_control))


def _parts(blocks: list[Block], where: str) -> list[Part]:
    return [part for place, block in enumerate(blocks) for part in _part(block, f"{where}[{place}]")]


def _part(block: Block, where: str) -> list[Part]:
    cache = cache_mark(block.cache_control)
    match block.type:
        case "text" if block.text is not None:
            return [Text(block.text, cache)] if block.text else []
        case "image" if isinstance(block.source, Source):
            return [_image(block.source, cache, where)]
        case "document" if isinstance(block.source, Source):
            return _document(block, block.source, cache, where)
        case "search_result":
            return _search_result(block, cache, where)
        case _:
            raise _unknown(block, where)


def _unknown(block: Block, where: str) -> UnreadableRequest:
    known = ("text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result", "search_result")
    if block.type in known:
        return bad_field(f"`{where}` of type `{block.type}` is out of place, or lacks what its type needs.", "messages")
    return unsupported_field(
        "messages", f"`{where}` of type `{block.type}` cannot be honoured by the upstream of this model."
    )


def _image(source: Source, cache: CacheMark | None, where: str) -> Image:
    match source.type:
        case "base64" if source.data and source.media_type:
            return Image(data=source.data, media_type=source.media_type, cache=cache)
        case "url" if source.url:
            return Image(url=source.url, cache=cache)
        case "file" if source.file_id:
            return Image(file_id=source.file_id, cache=cache)
        case _:
            raise _bad_source(source, where)


def _document(block: Block, source: Source, cache: CacheMark | None, where: str) -> list[Part]:
    _no_citations(block, where)
    parts: list[Part] = [Text(block.context)] if block.context else []
    name = block.title or ""
    match source.type:
        case "base64" if source.data and source.media_type:
            parts.append(File(data=source.data, media_type=source.media_type, name=name, cache=cache))
        case "text" if source.data is not None:
            parts.append(File(text=source.data, media_type="text/plain", name=name, cache=cache))
        case "url" if source.url:
            parts.append(File(url=source.url, name=name, cache=cache))
        case "file" if source.file_id:
            parts.append(File(file_id=source.file_id, name=name, cache=cache))
        case "content" if source.content is not None:
            inside = [Block("text", source.content)] if isinstance(source.content, str) else source.content
            parts += _parts(inside, f"{where}.source.content")
            _mark_last(parts, cache)
        case _:
            raise _bad_source(source, where)
    return parts


def _search_result(block: Block, cache: CacheMark | None, where: str) -> list[Part]:
    """As text under its title and address: only Anthropic has blocks for them."""
    _no_citations(block, where)
    if not isinstance(block.source, str) or not isinstance(block.content, list):
        raise bad_field(f"`{where}` needs a `source` and a list as `content`.", "messages")
    parts: list[Part] = [Text(f"{block.title or ''}\n{block.source}\n"), *_parts(block.content, f"{where}.content")]
    _mark_last(parts, cache)
    return parts


def _no_citations(block: Block, where: str) -> None:
    if isinstance(block.citations, CitationsConfig) and block.citations.enabled:
        raise unsupported_field(
            "messages", f"`{where}.citations`: the upstream of this model cites no documents. Leave it out."
        )


def _mark_last(parts: list[Part], cache: CacheMark | None) -> None:
    last = parts[-1] if parts else None
    if cache is not None and isinstance(last, Text | Image | File):
        last.cache = cache


def _bad_source(source: Source, where: str) -> UnreadableRequest:
    return bad_field(
        f"`{where}.source` of type `{source.type}` is not known, or lacks what its type needs.", "messages"
    )
