"""The hub: one canonical request, answer and stream of events that every chat dialect is decoded to and encoded from.

Its shape is that of OpenAI Responses (items: messages, reasoning, tool calls, tool results), the richest of them. Absent is
None and never null on the wire. Texts, ids, tool names, argument bytes, schemas and signatures are kept as they came.

Calls whose client and upstream speak the same dialect never pass through here.
"""

from typing import Literal

from msgspec import Raw, Struct, field

from tidegate.core.usage import Usage

# Content.


class CacheMark(Struct, frozen=True):
    """The prompt up to here shall be cached."""

    ttl: str = ""
    """As the client wrote it (`5m`, `1h`, `30m`, `12h`); "" is the provider's default."""


class Citation(Struct):
    """Where a piece of the answer comes from."""

    url: str
    title: str = ""
    start: int | None = None
    """Where the cited text begins in its Text, in characters; None where the dialect does not say."""
    end: int | None = None
    text: str = ""
    """The cited source's own words."""


class Text(Struct):
    text: str
    cache: CacheMark | None = None
    citations: list[Citation] = field(default_factory=list[Citation])


class Image(Struct):
    """Exactly one of `url`, `data` (base64, with `media_type`) and `file_id` is set."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    file_id: str = ""
    detail: str = ""
    cache: CacheMark | None = None


class Audio(Struct):
    data: str
    """Base64."""
    format: str
    """`wav`, `mp3`, ..."""


class File(Struct):
    """A document. Exactly one of `url`, `data` (base64, with `media_type`), `text` and `file_id` is set."""

    url: str = ""
    data: str = ""
    text: str = ""
    media_type: str = ""
    file_id: str = ""
    name: str = ""
    cache: CacheMark | None = None


class Refusal(Struct):
    text: str


Part = Text | Image | Audio | File | Refusal

# Items.

Role = Literal["system", "developer", "user", "assistant"]


class Message(Struct):
    role: Role
    parts: list[Part]
    name: str = ""
    id: str = ""


class Reasoning(Struct):
    """What the model thought. It goes back to the model on the next turn exactly as it came."""

    text: str = ""
    signature: str = ""
    """Proof of origin, opaque (Anthropic's `signature`, Gemini's `thoughtSignature`, Bedrock's)."""
    encrypted: str = ""
    """The whole thought, readable by its provider alone (`redacted_thinking`, `encrypted_content`)."""
    summary: bool = False
    """`text` is a summary of the thought."""
    origin: str = ""
    """The dialect family whose signature or ciphertext it is: another provider cannot take it."""
    id: str = ""


class ToolCall(Struct):
    id: str
    name: str
    arguments: str
    """JSON text, byte for byte (of a `custom` tool: the plain input)."""
    custom: bool = False
    signature: str = ""
    """Gemini signs the call itself."""
    cache: CacheMark | None = None


class ToolResult(Struct):
    call_id: str
    parts: list[Part]
    name: str = ""
    is_error: bool | None = None
    cache: CacheMark | None = None


Item = Message | Reasoning | ToolCall | ToolResult
OutputItem = Message | Reasoning | ToolCall

# Settings.


class Grammar(Struct, frozen=True):
    """What a custom tool's input must look like."""

    syntax: str
    """`lark`, `regex`."""
    definition: str


class Tool(Struct):
    """A function that the client offers. `custom`: free text in, no schema."""

    name: str
    description: str = ""
    parameters: Raw | None = None
    """JSON Schema, byte for byte."""
    strict: bool | None = None
    custom: bool = False
    grammar: Grammar | None = None
    """Of a custom tool's input; None for any text."""
    cache: CacheMark | None = None


class ToolChoice(Struct):
    """`one` of `names` for mode `tool`; `names` limits `auto` and `required` to some of the tools (allowed_tools)."""

    mode: Literal["auto", "none", "required", "tool"]
    names: list[str] = field(default_factory=list[str])


class OutputFormat(Struct):
    """`schema` with its name for `json_schema`."""

    kind: Literal["json_object", "json_schema"]
    name: str = ""
    schema: Raw | None = None
    strict: bool | None = None
    description: str = ""


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Thinking(Struct):
    """How much the model shall think, and what of it is shown. `none` is: not at all."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    adaptive: bool = False
    """As much as the model finds fit (`effort` may guide it)."""
    show: bool | None = None
    """Whether thoughts, or summaries of them, come back."""
    summary: str = ""
    """Responses' `summary`: `auto`, `concise`, `detailed`."""


class Request(Struct, kw_only=True):
    """One chat call. `names` has the client's own name for a field where it is not the canonical one."""

    items: list[Item]
    """In order; system and developer messages stand where the client put them."""
    tools: list[Tool] = field(default_factory=list[Tool])
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] = field(default_factory=list[str])
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Raw | None = None
    logprobs: int | None = None
    """How many alternatives for each token; 0: the chosen token's alone."""
    output_format: OutputFormat | None = None
    verbosity: str | None = None
    thinking: Thinking | None = None
    service_tier: str | None = None
    user: str | None = None
    """A stable, pseudonymous id of the end user."""
    metadata: Raw | None = None
    """An object."""
    prompt_cache_key: str | None = None
    stream: bool = False
    dropped: list[str] = field(default_factory=list[str])
    """Hints, by the client's names, that this call does without: those that only the client's dialect has, put here by its
    decoder, then those that the upstream does not have, put here by its encoder."""
    names: dict[str, str] = field(default_factory=dict[str, str])
    sealed: list[str] = field(default_factory=list[str])
    """Ciphertexts that go along and that the credential which made them alone can read: put here by the encoder."""
    renamed: dict[str, str] = field(default_factory=dict[str, str])
    """The upstream's name of a tool → the client's, where they differ: put here by the encoder (`tool_names`)."""
    first_call_alone: bool = False
    """No more than one call at a time was asked for, and the upstream cannot be held to that: put here by the encoder, and
    honoured by the hub (`single_calls`)."""

    def called(self, canonical: str) -> str:
        """The client's name for a canonical field."""
        return self.names.get(canonical, canonical)


# Answers.

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Finish(Struct):
    reason: FinishReason
    native: str = ""
    """The upstream's own word."""
    stop_sequence: str | None = None
    """The one that was met, where the upstream says so."""
    explanation: str = ""
    """Why it was refused or filtered, where the upstream says so."""

    def beside(self, told: str, name: str = "native_finish_reason") -> dict[str, str]:
        """The upstream's own word as a member of the answer, where `told`, the client's dialect's, is another."""
        return {} if self.native in ("", told) else {name: self.native}


class Answer(Struct):
    id: str
    items: list[OutputItem]
    finish: Finish
    usage: Usage
    service_tier: str = ""
    """The tier that was billed, where the upstream says so."""


# Events. A well-formed stream is:
#   Begun (ItemBegun (deltas of that item)* ItemEnded)* Finished, then Ended; UsageTold anywhere after Begun, its last one
#   counts. Indexes are dense from 0. One item is open at a time. `Failed` may come in place of anything and is the last.


class Fault(Struct, frozen=True):
    """An upstream's own error, read from its body as far as it can be; "" where it says nothing."""

    type: str
    code: str
    message: str
    retry_after_seconds: float | None = None
    """When to try again, where the body says it and no header does."""
    foreign: bool = False
    """The body has another dialect's shape: its clients could not read it."""


class Begun(Struct):
    id: str


class ItemBegun(Struct):
    """`item` has what is known at the start (a call's id and name); its contents come as deltas."""

    index: int
    item: OutputItem


class TextDelta(Struct):
    index: int
    text: str


class RefusalDelta(Struct):
    index: int
    text: str


class CitationAdded(Struct):
    index: int
    citation: Citation


class ReasoningDelta(Struct):
    index: int
    text: str


class ReasoningSealed(Struct):
    """The signature of the reasoning item, or its ciphertext."""

    index: int
    signature: str = ""
    encrypted: str = ""


class ArgumentsDelta(Struct):
    index: int
    text: str


class ItemEnded(Struct):
    index: int


class UsageTold(Struct):
    usage: Usage


class Finished(Struct):
    finish: Finish
    service_tier: str = ""


class Failed(Struct):
    fault: Fault


class Ended(Struct):
    """The upstream's end marker."""


Event = (
    Begun
    | ItemBegun
    | TextDelta
    | RefusalDelta
    | CitationAdded
    | ReasoningDelta
    | ReasoningSealed
    | ArgumentsDelta
    | ItemEnded
    | UsageTold
    | Finished
    | Failed
    | Ended
)
