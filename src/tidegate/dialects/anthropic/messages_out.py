"""From the hub's items to an upstream's `system` and `messages`.

Turns alternate, results come first in the user's turn, and what an upstream would reject as empty is left out.
Source: `anthropic.types.message_param` and `content_block_param` of the official SDK.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw, Struct, field

from tidegate.dialects.anthropic.thoughts import ORIGIN
from tidegate.dialects.canon import (
    Audio,
    CacheMark,
    File,
    Image,
    Item,
    Message,
    Part,
    Reasoning,
    Refusal,
    Request,
    Text,
    ToolCall,
    ToolResult,
)
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.history import object_text
from tidegate.dialects.tool_names import legal_id

Json = dict[str, Any]

FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9_-]")
LONGEST: Final = 64
_TTLS: Final = {"": "", "5m": "5m", "1h": "1h", "30m": "1h", "12h": "1h"}
_IMAGES: Final = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))
_PDF: Final = "application/pdf"


class _Turn(Struct):
    role: str
    results: list[Json] = field(default_factory=list[Json])
    blocks: list[Json] = field(default_factory=list[Json])


class Conversation:
    """`system` and `messages` of a request. `tool_name`: from the client's name of a tool to the upstream's.

    `system_turns`: the model takes system messages inside the conversation; else all of them go to the top.
    """

    def __init__(self, request: Request, tool_name: Callable[[str], str], *, system_turns: bool) -> None:
        self.system: list[Json] = []
        self._request = request
        self._tool_name = tool_name
        self._system_turns = system_turns
        self._turns: list[_Turn] = []
        self._unanswered: set[str] = set()
        self._held: list[Json] = []
        for item in request.items:
            self._add(item)
        self._release()

    def messages(self) -> list[Json]:
        """A conversation of system messages alone is put to the model as the user's turn: it must have one."""
        if not self._turns and self.system:
            self._turns.append(_Turn("user", blocks=self.system))
            self.system = []
        return [
            {"role": turn.role, "content": _content(turn.results + turn.blocks)}
            for turn in self._turns
            if turn.results or turn.blocks
        ]

    def thinks_on(self) -> bool:
        """Whether the last turn of the model, if it goes on after tools, begins with a thought of its own."""
        last = self._turns[-1] if self._turns else None
        if last is None or not last.results or len(self._turns) < 2:
            return True
        said = self._turns[-2].blocks
        return bool(said) and said[0]["type"] in ("thinking", "redacted_thinking")

    def _add(self, item: Item) -> None:
        match item:
            case Message(role="system" | "developer"):
                self._system(item)
            case Message():
                blocks = [block for part in item.parts if (block := self._part(part)) is not None]
                self._turn("assistant" if item.role == "assistant" else "user").blocks.extend(blocks)
            case Reasoning():
                block = _thought(item)
                if block is not None:
                    self._turn("assistant").blocks.append(block)
            case ToolCall():
                self._call(item)
            case ToolResult():
                self._turn("user").results.append(self._result(item))
                self._unanswered.discard(item.call_id)

    def _turn(self, role: str) -> _Turn:
        if self._held and (role == "assistant" or not self._unanswered):
            self._release()
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def _release(self) -> None:
        """System messages that came between a call and its result wait until the results are in."""
        if self._held:
            self._turns.append(_Turn("system", blocks=self._held))
            self._held = []

    def _system(self, message: Message) -> None:
        blocks = [block for part in message.parts if (block := self._part(part)) is not None]
        if any(block["type"] != "text" for block in blocks):
            raise unsupported_field("messages", "A system message can hold text alone for this upstream.")
        if not self._turns or not self._system_turns:
            self.system += blocks
        elif self._unanswered:
            self._held += blocks
        else:
            self._turn("system").blocks.extend(blocks)

    def _call(self, call: ToolCall) -> None:
        if call.custom:
            raise unsupported_field("messages", f"A call of the free-text tool `{call.name}` has no equal upstream.")
        arguments = object_text(call.arguments, "messages")
        block: Json = {
            "type": "tool_use",
            "id": legal_id(call.id, FORBIDDEN, LONGEST),
            "name": self._tool_name(call.name),
            "input": Raw(arguments.encode()),
        }
        self._turn("assistant").blocks.append(self._marked(block, call.cache))
        self._unanswered.add(call.id)

    def _result(self, result: ToolResult) -> Json:
        block: Json = {"type": "tool_result", "tool_use_id": legal_id(result.call_id, FORBIDDEN, LONGEST)}
        content = [told for part in result.parts if (told := self._part(part)) is not None]
        if content:
            block["content"] = _content(content)
        if result.is_error is not None:
            block["is_error"] = result.is_error
        return self._marked(block, result.cache)

    def _part(self, part: Part) -> Json | None:
        match part:
            case Text():
                return self._marked({"type": "text", "text": part.text}, part.cache) if part.text.strip() else None
            case Image():
                return self._marked({"type": "image", "source": _image_source(part)}, part.cache)
            case File():
                document: Json = {"type": "document", "source": _file_source(part)}
                if part.name:
                    document["title"] = part.name
                return self._marked(document, part.cache)
            case Refusal():
                return {"type": "text", "text": part.text} if part.text.strip() else None
            case Audio():
                raise unsupported_field("messages", "Sound cannot be sent to this upstream: it takes none.")

    def _marked(self, block: Json, mark: CacheMark | None) -> Json:
        if mark is not None:
            block["cache_control"] = cache_control(mark, self._request)
        return block


def cache_control(mark: CacheMark, request: Request) -> Json:
    """Two lifetimes are all there are: a longer or a stranger one becomes the longer of them, and is reported."""
    if mark.ttl not in ("", "5m", "1h"):
        request.dropped.append("prompt_cache_breakpoint.ttl")
    ttl = _TTLS.get(mark.ttl, "1h")
    return {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}


def _content(blocks: list[Json]) -> str | list[Json]:
    """One plain text is written as such."""
    return blocks[0]["text"] if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} else blocks


def _thought(thought: Reasoning) -> Json | None:
    """None for what Anthropic did not sign: it would be rejected."""
    if thought.origin != ORIGIN and not (thought.origin == "bedrock" and thought.signature):
        return None  # Claude's signatures are the same on every platform
    if thought.encrypted:
        return {"type": "redacted_thinking", "data": thought.encrypted}
    if thought.signature:
        return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}
    return None


def _image_source(image: Image) -> Json:
    if image.file_id:
        raise unsupported_field("messages", "An image by `file_id` belongs to another provider: send its data.")
    if image.url:
        return {"type": "url", "url": image.url}
    media_type = "image/jpeg" if image.media_type == "image/jpg" else image.media_type
    if media_type not in _IMAGES:
        raise unsupported_field(
            "messages", f"An image of type `{media_type}`: the upstream takes JPEG, PNG, GIF, WebP."
        )
    return {"type": "base64", "media_type": media_type, "data": image.data}


def _file_source(file: File) -> Json:
    if file.text:
        return {"type": "text", "media_type": "text/plain", "data": file.text}
    if file.url:
        return {"type": "url", "url": file.url}
    if file.file_id:
        raise unsupported_field("messages", "A document by `file_id` belongs to another provider: send its data.")
    if file.media_type == _PDF:
        return {"type": "base64", "media_type": _PDF, "data": file.data}
    if file.media_type.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": _plain(file.data)}
    raise unsupported_field(
        "messages", f"A document of type `{file.media_type}`: the upstream takes PDF and text. Send one of them."
    )


def _plain(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise bad_field("A text document is not base64 of UTF-8.", "messages") from error
