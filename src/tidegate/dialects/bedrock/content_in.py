"""The messages of a client's Converse request, to the hub's items."""

from typing import Final

from msgspec import Struct

from tidegate.dialects.bedrock.blocks import (
    Block,
    Document,
    Media,
    ReasoningContent,
    ResultBlock,
    ToolAnswer,
    citation_of,
)
from tidegate.dialects.bedrock.thoughts import thought_of
from tidegate.dialects.canon import (
    Audio,
    CacheMark,
    File,
    Image,
    Item,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from tidegate.dialects.canon import Message as Spoken
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field, present, unsupported_field
from tidegate.dialects.history import object_text

MEDIA_TYPES: Final = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}
"""Of documents, by Bedrock's formats."""

_UNMAPPED: Final = ("video", "guard_content", "search_result", "tool_addition", "tool_removal")


class Message(Struct):
    role: str
    content: list[Block]


def system_message(blocks: list[Block], where: str, dropped: list[str]) -> list[Item]:
    """Raises UnreadableRequest."""
    parts: list[Part] = []
    for place, block in enumerate(blocks):
        if block.cache_point is not None:
            _mark(block.cache_point.ttl, parts, [], dropped)
        elif block.text is not None:
            parts.append(Text(block.text))
        elif present(block.guard_content) is not None:
            raise _unmapped(f"{where}[{place}]", "guardContent", where)
        else:
            raise bad_field(f"`{where}[{place}]` must have one of `text`, `guardContent`, `cachePoint`.", where)
    return [Spoken("system", parts)] if parts else []


def read_message(message: Message, where: str, before: list[Item], dropped: list[str]) -> list[Item]:
    """`before`: the items of earlier messages. Raises UnreadableRequest."""
    match message.role:
        case "system":
            return system_message(message.content, where.partition("[")[0], dropped)
        case "user" | "assistant":
            return _Reader(message.role, where, before, dropped).read(message.content)
        case role:
            raise bad_field(f"`{where}.role` is `{role}`: it can be user, assistant or system.", "messages")


class _Reader:
    """One message's blocks: neighbours that are texts and media become one message of the hub."""

    def __init__(self, role: Role, where: str, before: list[Item], dropped: list[str]) -> None:
        self._role: Role = role
        self._where = where
        self._before = before
        self._dropped = dropped
        self._items: list[Item] = []
        self._parts: list[Part] = []
        self._signature = ""
        """Of the call that comes next."""

    def read(self, blocks: list[Block]) -> list[Item]:
        for place, block in enumerate(blocks):
            self._block(block, f"{self._where}.content[{place}]")
        self._flush()
        return self._items

    def _block(self, block: Block, where: str) -> None:
        if block.cache_point is not None:
            _mark(block.cache_point.ttl, self._parts, self._items or self._before, self._dropped)
        elif block.tool_use is not None:
            self._item(self._call(block, where))
        elif block.tool_result is not None:
            self._item(_result(block.tool_result, where))
        elif block.reasoning_content is not None:
            self._thought(block.reasoning_content)
        elif block.citations_content is not None:
            told = block.citations_content
            cited = [found for one in told.citations or () if (found := citation_of(one)) is not None]
            self._parts.append(Text("".join(one.text for one in told.content or ()), citations=cited))
        else:
            self._parts.append(_part(block, where))

    def _thought(self, told: ReasoningContent) -> None:
        thought = thought_of(told)
        if isinstance(thought, str):
            self._signature = thought
        else:
            self._item(thought)

    def _item(self, item: Item) -> None:
        self._flush()
        self._items.append(item)

    def _flush(self) -> None:
        if self._parts:
            self._items.append(Spoken(self._role, self._parts))
            self._parts = []

    def _call(self, block: Block, where: str) -> ToolCall:
        called = block.tool_use
        if called is None or called.type is not None:
            raise _unmapped(where, "a server's tool", "messages")
        text = object_text(bytes(called.input).decode(), f"{where}.toolUse.input")
        signature, self._signature = self._signature, ""
        return ToolCall(called.tool_use_id, called.name, text, signature=signature)


def _mark(ttl: str | None, parts: list[Part], items: list[Item], dropped: list[str]) -> None:
    """A cache point marks what stands before it."""
    last: Part | Item | None = parts[-1] if parts else None
    if last is None and items:
        item = items[-1]
        last = item.parts[-1] if isinstance(item, Spoken) and item.parts else item
    if isinstance(last, Text | Image | File | ToolCall | ToolResult):
        last.cache = CacheMark(ttl or "")
    else:
        dropped.append("cachePoint")


def _part(block: Block, where: str) -> Text | Image | Audio | File:
    if block.text is not None:
        return Text(block.text)
    if block.image is not None:
        return _image(block.image, where)
    if block.document is not None:
        return _file(block.document, where)
    if block.audio is not None:
        return Audio(_bytes(block.audio.source.data, f"{where}.audio"), block.audio.format)
    for name in _UNMAPPED:
        if present(getattr(block, name)) is not None:
            raise _unmapped(where, name, "messages")
    raise bad_field(f"`{where}` has none of the members that a content block can have.", "messages")


def _image(image: Media, where: str) -> Image:
    return Image(data=_bytes(image.source.data, f"{where}.image"), media_type=f"image/{image.format}")


def _file(document: Document, where: str) -> File:
    if document.context or (document.citations is not None and document.citations.enabled):
        raise _unmapped(f"{where}.document", "context and citations", "messages")
    source = document.source
    if source.text is not None:
        return File(text=source.text, media_type="text/plain", name=document.name)
    media_type = MEDIA_TYPES.get(document.format or "txt")
    if media_type is None:
        raise bad_field(f"`{where}.document.format` is `{document.format}`: Bedrock knows no such format.", "messages")
    return File(data=_bytes(source.data, f"{where}.document"), media_type=media_type, name=document.name)


def _result(answer: ToolAnswer, where: str) -> ToolResult:
    if answer.status not in (None, "success", "error"):
        message = f"`{where}.toolResult.status` is `{answer.status}`: it can be success or error."
        raise bad_field(message, "messages")
    parts = [
        _result_part(one, f"{where}.toolResult.content[{place}]")
        for place, one in enumerate(answer.content)
    ]  # fmt: skip
    is_error = None if answer.status is None else answer.status == "error"
    return ToolResult(answer.tool_use_id, parts, is_error=is_error)


def _result_part(block: ResultBlock, where: str) -> Part:
    if block.text is not None:
        return Text(block.text)
    if (told := present(block.json)) is not None:
        return Text(bytes(told).decode())
    if block.image is not None:
        return _image(block.image, where)
    if block.document is not None:
        return _file(block.document, where)
    raise _unmapped(where, "what is neither text, json, image nor document", "messages")


def _bytes(data: str | None, where: str) -> str:
    if data is None:
        raise unsupported_field(
            "messages", f"`{where}.source` must be `bytes`: the upstream of this model cannot read it from elsewhere."
        )
    return data


def _unmapped(where: str, what: str, field: str) -> UnreadableRequest:
    return unsupported_field(field, f"`{where}`: the upstream of this model cannot be given {what}.")
