"""The hub's items to the messages of a Converse request.

Source: `ContentBlock` of botocore's model of bedrock-runtime, and Bedrock's user guide on what its models accept.
"""

import re
from base64 import b64encode
from itertools import groupby
from typing import Any, Final, Literal

from msgspec import Raw

from tidegate.dialects.anthropic.claude_rules import takes_system_turns
from tidegate.dialects.bedrock.content_in import MEDIA_TYPES
from tidegate.dialects.bedrock.models import Family
from tidegate.dialects.bedrock.thoughts import ORIGIN
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
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.history import object_text, split_system, turns
from tidegate.dialects.remote import NeedsBytes
from tidegate.dialects.tool_names import legal_id, rename_tools

Json = dict[str, Any]

NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
LONGEST: Final = 64
_ID: Final = re.compile(r"[^a-zA-Z0-9_.:-]")
_DOCUMENT_NAME: Final = re.compile(r"[^a-zA-Z0-9\s()\[\]-]+")
_SPACES: Final = re.compile(r"\s+")
_LONGEST_DOCUMENT_NAME: Final = 180
_IMAGES: Final = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_SOUNDS: Final = frozenset(
    ("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm")
)
_FORMATS: Final = {media_type: name for name, media_type in MEDIA_TYPES.items()}
_TTLS: Final = {"": None, "5m": None, "30m": "1h", "1h": "1h", "12h": "1h"}
"""Five minutes is the default, and not every model with cache points knows the field."""


class ContentEncoder:
    """One request's content. Remembers the names of documents, which must differ."""

    def __init__(self, request: Request, family: Family) -> None:
        self._request = request
        self._family = family
        self._documents: set[str] = set()
        self.tool_name = rename_tools(request, forbidden=NAME, longest=LONGEST)
        self.field = request.called("messages")
        self.calls_tools = any(isinstance(item, ToolCall | ToolResult) for item in request.items)

    def content(self) -> tuple[list[Json], list[Json]]:
        """(system, messages). Raises UnreadableRequest."""
        before, rest = self._system(self._request.items)
        system = [block for message in before for block in self._item(message)]
        messages: list[Json] = []
        for side, items in groupby(rest, _is_system):
            if side:
                blocks = [block for item in items for block in self._item(item)]
                messages += [{"role": "system", "content": blocks}] if blocks else []
                continue
            for turn in turns(list(items)):
                # Results come first: Claude looks for them there.
                ordered = sorted(turn.items, key=lambda item: not isinstance(item, ToolResult))
                blocks = [block for item in ordered for block in self._item(item)]
                if blocks:
                    self._add(messages, turn.role, blocks)
        if not messages:
            raise bad_field(f"`{self.field}` has nothing for the model to answer: add a user's message.", self.field)
        return system, messages

    def _system(self, items: list[Item]) -> tuple[list[Message], list[Item]]:
        """(what goes to the top, the rest). Newer Claudes keep later system messages in their places, and so the cache."""
        claude = self._family.claude
        if claude is None or not takes_system_turns(claude):
            return split_system(items)
        first = next((place for place, item in enumerate(items) if not _is_system(item)), len(items))
        return split_system(items[:first])[0], items[first:]

    def cache_point(self, mark: CacheMark | None) -> list[Json]:
        if mark is None:
            return []
        if not self._family.caches or mark.ttl not in _TTLS:
            self._request.dropped.append(self._request.called("prompt_cache_breakpoint"))
            return []
        ttl = _TTLS[mark.ttl]
        if ttl != mark.ttl and mark.ttl not in ("", "5m"):
            self._request.dropped.append(self._request.called("prompt_cache_breakpoint"))
        return [{"cachePoint": {"type": "default"} if ttl is None else {"type": "default", "ttl": ttl}}]

    def _add(self, messages: list[Json], role: Literal["user", "assistant"], blocks: list[Json]) -> None:
        """A turn that came to nothing may have left two of one side next to each other."""
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})

    def _item(self, item: Item) -> list[Json]:
        match item:
            case Message():
                if _is_system(item) and not all(isinstance(part, Text | Refusal) for part in item.parts):
                    raise self._unsupported("A system message can be nothing but text for this upstream.")
                return self._blocks(item.parts)
            case Reasoning():
                return self._thought(item)
            case ToolCall():
                return [{"toolUse": self._call(item)}, *self.cache_point(item.cache)]
            case ToolResult():
                return [{"toolResult": self._result(item)}, *self.cache_point(item.cache)]

    def _blocks(self, parts: list[Part]) -> list[Json]:
        return [block for part in parts for block in self._part(part)]

    def _part(self, part: Part) -> list[Json]:
        match part:
            case Text() | Refusal():
                block = {"text": part.text} if part.text.strip() else None  # Bedrock refuses blank texts
            case Image():
                block = {"image": self._image(part)}
            case File():
                block = {"document": self._document(part)}
            case Audio():
                block = {"audio": self._sound(part)}
        mark = part.cache if isinstance(part, Text | Image | File) else None
        return [] if block is None else [block, *self.cache_point(mark)]

    def _image(self, image: Image) -> Json:
        if not image.data:
            how = "by URL" if image.url else "by `file_id`"
            refused = self._unsupported(f"An image {how} cannot be sent to this upstream: send its data.")
            raise NeedsBytes(refused.problem, Image, File) if image.url else refused
        kind = _IMAGES.get(image.media_type.lower())
        if kind is None:
            raise self._unsupported(f"An image of type {image.media_type} cannot be sent to this upstream.")
        return {"format": kind, "source": {"bytes": image.data}}

    def _sound(self, audio: Audio) -> Json:
        if audio.format not in _SOUNDS:
            raise self._unsupported(f"Audio of format {audio.format} cannot be sent to this upstream.")
        return {"format": audio.format, "source": {"bytes": audio.data}}

    def _document(self, file: File) -> Json:
        extension = file.name.rpartition(".")[2].lower() if "." in file.name else ""
        kind = _FORMATS.get(file.media_type.partition(";")[0].lower())
        if kind is None:
            kind = extension if extension in MEDIA_TYPES else None
        data = file.data
        if file.text:
            kind, data = kind or "txt", b64encode(file.text.encode()).decode()
        if not data:
            how = "by URL" if file.url else "by `file_id`"
            refused = self._unsupported(f"A document {how} cannot be sent to this upstream: send its data.")
            raise NeedsBytes(refused.problem, Image, File) if file.url else refused
        if kind is None:
            raise self._unsupported(f"A document of type {file.media_type} cannot be sent to this upstream.")
        name = file.name.rpartition(".")[0] if extension == kind else file.name
        return {"format": kind, "name": self._document_name(name), "source": {"bytes": data}}

    def _document_name(self, wanted: str) -> str:
        """Legal, and different from all before it. The model sees it."""
        name = _SPACES.sub(" ", _DOCUMENT_NAME.sub("-", wanted)).strip(" -")[:_LONGEST_DOCUMENT_NAME].strip()
        name = name or "document"
        chosen, count = name, 1
        while chosen in self._documents:
            count += 1
            chosen = f"{name}-{count}"
        self._documents.add(chosen)
        return chosen

    def _thought(self, thought: Reasoning) -> list[Json]:
        """Thoughts go back to whom they came from; Claude knows its own on every platform."""
        claude = self._family.claude is not None
        if thought.origin != ORIGIN and not (claude and thought.origin == "anthropic" and thought.signature):
            return []
        if thought.encrypted:
            return [{"reasoningContent": {"redactedContent": thought.encrypted}}]
        if claude and not thought.signature:
            return []
        told: Json = {"text": thought.text}
        if thought.signature:
            told["signature"] = thought.signature
        return [{"reasoningContent": {"reasoningText": told}}]

    def _call(self, call: ToolCall) -> Json:
        if call.custom:
            raise unsupported_field(
                self._request.called("tools"), f"`{call.name}` is a custom tool: this upstream has functions only."
            )
        arguments = Raw(object_text(call.arguments, self.field).encode())
        return {"toolUseId": self._id(call.id), "name": self.tool_name(call.name), "input": arguments}

    def _result(self, result: ToolResult) -> Json:
        told: Json = {"toolUseId": self._id(result.call_id), "content": self._result_blocks(result.parts)}
        if result.is_error is not None:
            told["status"] = "error" if result.is_error else "success"
        return told

    def _result_blocks(self, parts: list[Part]) -> list[Json]:
        """A result may not be empty."""
        if any(isinstance(part, Audio) for part in parts):
            raise self._unsupported("Audio in a tool's result cannot be sent to this upstream.")
        blocks = [block for part in parts for block in self._part(part) if "cachePoint" not in block]
        if not blocks:
            blocks.append({"text": "".join(part.text for part in parts if isinstance(part, Text)) or " "})
        return blocks

    def _id(self, text: str) -> str:
        return legal_id(text, _ID, LONGEST)

    def _unsupported(self, message: str) -> UnreadableRequest:
        return unsupported_field(self.field, message)


def _is_system(item: Item) -> bool:
    return isinstance(item, Message) and item.role in ("system", "developer")
