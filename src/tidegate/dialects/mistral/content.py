"""Mistral's content: a text, or a list of chunks; and tool arguments, that may be an object.

Source: `contentchunk`, `thinkchunk`, `functioncall` of the official `mistralai` SDK.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.canon import Audio, File, Image, Part, Reasoning, Refusal, Text
from tidegate.dialects.fields import NULL, bad_field, unsupported_field
from tidegate.dialects.media import data_url, split_data_url

Json = dict[str, Any]

ORIGIN: Final = "mistral"
"""Of thoughts: their signatures are worth something to this family alone."""


class Piece(Struct):
    """Of a thought. References to sources may stand between its texts."""

    type: str = "text"
    text: str | None = None


class ImageUrl(Struct):
    url: str
    detail: str | None = None


class Chunk(Struct):
    type: str = "text"
    text: str | None = None
    thinking: str | list[Piece] | None = None
    signature: str | None = None
    image_url: str | ImageUrl | None = None
    document_url: str | None = None
    document_name: str | None = None
    input_audio: str | None = None
    file_id: str | None = None

    @property
    def thought(self) -> str:
        if isinstance(self.thinking, str):
            return self.thinking
        return "".join(piece.text or "" for piece in self.thinking or ())


class Function(Struct):
    name: str | None = None
    arguments: Raw = NULL


class Call(Struct):
    function: Function
    id: str | None = None
    index: int | None = None

    @property
    def own_id(self) -> str | None:
        """The SDK writes `null` as a word for a call without an id."""
        return None if self.id in (None, "", "null") else self.id


def arguments_text(raw: Raw) -> str:
    """Arguments are JSON text, or the object itself, whose bytes are kept. "" where there are none."""
    text = bytes(raw)
    if text == b"null":
        return ""
    return msgspec.json.decode(text, type=str) if text.startswith(b'"') else text.decode()


def part_of(chunk: Chunk, where: str) -> Part | None:
    """A client's chunk that is no thought; None for a reference, which is a number without its source.

    Raises UnreadableRequest.
    """
    match chunk.type:
        case "text" if chunk.text is not None:
            return Text(chunk.text)
        case "image_url" if chunk.image_url is not None:
            image = chunk.image_url if isinstance(chunk.image_url, ImageUrl) else ImageUrl(chunk.image_url)
            inline = split_data_url(image.url)
            if inline is None:
                return Image(url=image.url, detail=image.detail or "")
            return Image(data=inline[1], media_type=inline[0], detail=image.detail or "")
        case "document_url" if chunk.document_url is not None:
            inline = split_data_url(chunk.document_url)
            name = chunk.document_name or ""
            if inline is None:
                return File(url=chunk.document_url, name=name)
            return File(data=inline[1], media_type=inline[0], name=name)
        case "input_audio" if chunk.input_audio is not None:
            return _audio(chunk.input_audio, where)
        case "file" if chunk.file_id is not None:
            return File(file_id=chunk.file_id)
        case "reference" | "tool_reference":
            return None
        case _:
            raise bad_field(
                f"`{where}` of type `{chunk.type}` is not one of text, thinking, image_url, document_url, input_audio, "
                "file, reference, or lacks the member of that name.",
                "messages",
            )


_SOUNDS: Final = {"UklGR": "wav", "SUQz": "mp3", "//": "mp3", "ZkxhQ": "flac", "T2dnUw": "ogg"}
"""How base64 of these formats begins (RIFF, ID3, an MPEG frame, fLaC, OggS): the dialect does not name the format."""


def _audio(data: str, where: str) -> Audio:
    inline = split_data_url(data)
    if inline is not None:
        return Audio(inline[1], inline[0].rpartition("/")[2].removeprefix("x-"))
    for start, name in _SOUNDS.items():
        if data.startswith(start):
            return Audio(data, name)
    raise unsupported_field(
        "messages", f"`{where}.input_audio` is not base64 of WAV, MP3, FLAC or OGG: the upstream must know the format."
    )


def chunk_of(part: Part) -> Json:
    """To an upstream. Raises UnreadableRequest."""
    match part:
        case Text() | Refusal():
            return {"type": "text", "text": part.text}
        case Image():
            if part.file_id:
                raise unsupported_field("messages", "An image by `file_id` belongs to another provider: send its data.")
            image: Json = {"url": part.url or data_url(part.media_type, part.data)}
            if part.detail:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Audio():
            return {"type": "input_audio", "input_audio": part.data}
        case File():
            return _document(part)


def _document(file: File) -> Json:
    if file.text:
        return {"type": "text", "text": file.text}
    if file.file_id:
        raise unsupported_field("messages", "A document by `file_id` belongs to another provider: send its data.")
    document: Json = {"type": "document_url", "document_url": file.url or data_url(file.media_type, file.data)}
    if file.name:
        document["document_name"] = file.name
    return document


def thought_chunk(thought: Reasoning) -> Json:
    """A whole thought."""
    chunk: Json = {"type": "thinking", "thinking": [{"type": "text", "text": thought.text}]}
    if thought.signature:
        chunk["signature"] = thought.signature
    return chunk
