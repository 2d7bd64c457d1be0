"""`contents` of a client's request, to the hub's items.

Calls and results need not have ids here: a result then belongs to the first call of its name that has none yet.

Source: `google.genai.types.Content`, `Part`, `FunctionCall`, `FunctionResponse` of the official SDK.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.dialects.canon import Audio, File, Image, Item, Message, Part, Reasoning, Text, ToolCall, ToolResult
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.gemini.members import Members
from tidegate.dialects.gemini.signatures import unpacked

_DATA: Final = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_REFUSED: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse", "videoMetadata")
_OWN_FILES: Final = ("gs://", "https://generativelanguage.googleapis.com/")
_AUDIO_FORMATS: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-flac": "flac"}
_URL_SAFE: Final = str.maketrans("-_", "+/")


class _Pending(Struct):
    """A call that has no result yet."""

    id: str
    name: str
    named: bool
    """The client gave it an id."""


def read_contents(contents: list[Members]) -> list[Item]:
    """Raises UnreadableRequest."""
    reader = _Reader(contents)
    for content in contents:
        reader.read(content)
    return reader.items


def system_parts(instruction: Members) -> list[Part]:
    return [_text_only(part) for part in instruction.objects("parts")]


class _Reader:
    def __init__(self, contents: list[Members]) -> None:
        self.items: list[Item] = []
        self._pending: list[_Pending] = []
        self._given = _ids(contents)
        self._calls = 0

    def read(self, content: Members) -> None:
        role = content.string("role") or "user"
        if role not in ("user", "model", "function"):
            raise bad_field(f"`{content.path('role')}` is `{role}`: it can be user or model.", content.path("role"))
        parts: list[Part] = []
        for part in content.objects("parts"):
            item = self._item(part, role == "model")
            signature = part.string("thoughtSignature") if role == "model" else None
            if item is None and signature:
                # The thought that led to a text stands before it: the hub's texts bear no signatures.
                self._say(role, parts)
                parts = []
                self.items.append(unpacked(signature))
            if item is None:
                found = _spoken(part)
                if not (signature and isinstance(found, Text) and not found.text):
                    parts.append(found)
                continue
            self._say(role, parts)
            parts = []
            if not (isinstance(item, Reasoning) and self._goes_on(item)):
                self.items.append(item)
        self._say(role, parts)

    def _say(self, role: str, parts: list[Part]) -> None:
        if parts:
            self.items.append(Message("assistant" if role == "model" else "user", parts))

    def _goes_on(self, thought: Reasoning) -> bool:
        """Whether it belongs to the thought before it: a client that kept a stream's chunks has one in many pieces.

        What proves it comes with the last piece, and is about all of them.
        """
        begun = self.items[-1] if self.items else None
        if not isinstance(begun, Reasoning) or begun.signature or begun.encrypted:
            return False
        begun.text += thought.text
        begun.signature, begun.encrypted = thought.signature, thought.encrypted
        begun.origin, begun.id = thought.origin, thought.id
        return True

    def _item(self, part: Members, by_model: bool) -> Item | None:
        """None for what belongs into a message."""
        _check(part)
        call, response = part.object("functionCall"), part.object("functionResponse")
        if call is not None:
            if not by_model:
                where = part.path("functionCall")
                raise bad_field(f"`{where}` stands in a user's turn: calls are the model's.", where)
            return self._call(call, part.string("thoughtSignature") or "")
        if response is not None:
            return self._result(response)
        if by_model and part.boolean("thought"):
            thought = unpacked(part.string("thoughtSignature") or "")
            thought.text = part.string("text") or ""
            thought.summary = True
            return thought
        return None

    def _call(self, call: Members, signature: str) -> ToolCall:
        name = call.string("name")
        if not name:
            raise bad_field(f"`{call.path('name')}` is missing: name the function that was called.", call.path("name"))
        own = call.string("id") or ""
        pending = _Pending(own or self._next_id(), name, bool(own))
        self._pending.append(pending)
        return ToolCall(pending.id, name, _object_text(call, "args"), signature=signature)

    def _next_id(self) -> str:
        while True:
            made = f"call_{self._calls}"
            self._calls += 1
            if made not in self._given:
                return made

    def _result(self, response: Members) -> ToolResult:
        name, own = response.string("name") or "", response.string("id") or ""
        call = self._answered(name, own)
        if call is None:
            where = response.where
            raise bad_field(
                f"`{where}` answers `{own or name}`, but no call of that {'id' if own else 'name'} is open before it. "
                "Send the model's turn with the call too.",
                where,
            )
        self._pending.remove(call)
        text, failed = _outcome(response)
        parts: list[Part] = [Text(text), *(_spoken(part) for part in response.objects("parts"))]
        return ToolResult(call.id, parts, call.name, True if failed else None)

    def _answered(self, name: str, own: str) -> _Pending | None:
        for call in self._pending:
            if own and call.id == own:
                return call
        for call in self._pending:
            if call.name == name and not (own and call.named):
                return call
        return None


def _ids(contents: list[Members]) -> frozenset[str]:
    given: set[str] = set()
    for content in contents:
        for part in content.objects("parts"):
            call = part.object("functionCall")
            if call is not None:
                given.add(call.string("id") or "")
    return frozenset(given)


def _check(part: Members) -> None:
    for name in _REFUSED:
        if part.raw(name) is not None:
            where = part.path(name)
            raise unsupported_field(where, f"`{where}` cannot be honoured by the upstream of this model. Leave it out.")
    found = [name for name in _DATA if part.raw(name) is not None]
    if len(found) > 1 or not (found or part.raw("thoughtSignature")):
        raise bad_field(
            f"`{part.where}` must have exactly one of {', '.join(_DATA)}; it has {' and '.join(found) or 'none'}.",
            part.where,
        )


def _text_only(part: Members) -> Text:
    text = part.string("text")
    if text is None:
        raise bad_field(f"`{part.where}` must be a text.", part.where)
    return Text(text)


def _spoken(part: Members) -> Part:
    inline, file = part.object("inlineData"), part.object("fileData")
    if inline is not None:
        return _inline(inline)
    if file is not None:
        return _file(file)
    return Text(part.string("text") or "")


def _inline(inline: Members) -> Part:
    data = (inline.string("data") or "").translate(_URL_SAFE)  # the SDK writes the URL-safe alphabet, others do not
    data += "=" * (-len(data) % 4)
    kind = (inline.string("mimeType") or "").lower()
    if not data or not kind:
        missing = "mimeType" if data else "data"
        raise bad_field(f"`{inline.path(missing)}` is missing.", inline.path(missing))
    if kind.startswith("image/"):
        return Image(data=data, media_type=kind)
    if kind.startswith("audio/"):
        form = kind[len("audio/") :].partition(";")[0]
        return Audio(data, _AUDIO_FORMATS.get(form, form))
    return File(data=data, media_type=kind, name=inline.string("displayName") or "")


def _file(file: Members) -> Part:
    uri = file.string("fileUri")
    if not uri:
        raise bad_field(f"`{file.path('fileUri')}` is missing.", file.path("fileUri"))
    kind = (file.string("mimeType") or "").lower()
    name = file.string("displayName") or ""
    own = uri.startswith(_OWN_FILES)
    if kind.startswith("image/"):
        return Image(file_id=uri, media_type=kind) if own else Image(url=uri, media_type=kind)
    return File(file_id=uri, media_type=kind, name=name) if own else File(url=uri, media_type=kind, name=name)


def _object_text(members: Members, name: str) -> str:
    """An object's own bytes; `{}` where it is absent."""
    raw = members.raw(name)
    if raw is None:
        return "{}"
    text = bytes(raw).decode()
    if not text.startswith("{"):
        raise members.bad(name, "must be an object")
    members.value(name)
    return text


def _outcome(response: Members) -> tuple[str, bool]:
    """(the result's text, whether the tool failed): `error` alone tells of a failure, all else is the result itself.

    A text alone under `output`, as the API's reference has it for what is no object, is that text.
    """
    told = response.raw("response")
    if told is None:
        return "", False
    text = _object_text(response, "response")
    value: dict[str, Any] = msgspec.json.decode(text)
    if list(value) == ["error"]:
        error = value["error"]
        return error if isinstance(error, str) else msgspec.json.encode(error).decode(), True
    if list(value) == ["output"] and isinstance(value["output"], str):
        return value["output"], False
    return text, False
