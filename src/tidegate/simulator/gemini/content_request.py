"""Reads a generateContent request as strictly as Gemini does."""

from typing import Any, Final

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Conversation
from tidegate.simulator.gemini.contents import Content, read_content, read_contents
from tidegate.simulator.gemini.fields import Fields, invalid
from tidegate.simulator.gemini.schemas import read_calling, read_schema, read_tools
from tidegate.simulator.invention import estimate_tokens

KNOWN: Final = frozenset(
    """contents systemInstruction tools toolConfig safetySettings cachedContent serviceTier store labels modelArmorConfig
    generationConfig model""".split()
)
GENERATION: Final = frozenset(
    """temperature topP topK candidateCount maxOutputTokens stopSequences responseLogprobs logprobs presencePenalty
    frequencyPenalty seed responseMimeType responseSchema responseJsonSchema responseModalities thinkingConfig
    mediaResolution speechConfig imageConfig audioTimestamp routingConfig modelSelectionConfig enableAffectiveDialog
    enableEnhancedCivicAnswers responseFormat""".split()
)
_LEVELS: Final = ("THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")
_MIME_TYPES: Final = ("text/plain", "application/json", "text/x.enum")
_MOST_STOPS: Final = 5
_MOST_CANDIDATES: Final = 8
_CONTENT_TOKENS: Final = 2


class ContentRequest(Conversation, kw_only=True):
    """What an answer depends on."""

    candidates: int
    audio_tokens: int
    """Of the prompt's."""
    top_logprobs: int | None
    """None: no log probabilities."""
    newer: bool
    """A model of the third generation: calls have ids, and signatures are required."""


def read_generate(fields: Fields, name: str, stream: bool, behaviour: Behaviour) -> ContentRequest:
    """Raises Rejection."""
    if behaviour.strict:
        fields.only(KNOWN)
    newer = name.startswith("gemini-3")
    contents = read_contents(fields, signatures_needed=newer)
    system = fields.inner("systemInstruction")
    said = [*([] if system is None else [read_content(system)]), *contents]
    tools = read_tools(fields)
    choice, tools = read_calling(fields, tools)
    for setting in fields.each("safetySettings"):
        setting.only(frozenset({"category", "threshold", "method"}))
        setting.needed_text("category")
        setting.needed_text("threshold")
    config = fields.inner("generationConfig") or Fields({}, "generationConfig")
    if behaviour.strict:
        config.only(GENERATION)
    _check_plain_fields(config)
    schema = _read_format(config)
    if schema is not None and tools and not newer:
        text = "Function calling with a response mime type: 'application/json' is unsupported"
        raise invalid(text, "generationConfig.responseMimeType")
    return ContentRequest(
        prompt=_join(said),
        prompt_tokens=_count(said),
        audio_tokens=_count_audio(said),
        last_text=" ".join(part.text for part in contents[-1].parts if part.kind == "text"),
        answers_tool=contents[-1].count("functionResponse") > 0,
        stream=stream,
        limit=config.whole("maxOutputTokens", 1, behaviour.max_output_tokens),
        stop=_read_stop(config),
        tools=tools,
        tool_choice=choice,
        parallel=True,
        json_schema=schema,
        thinks=_read_thinking(config),
        candidates=config.whole("candidateCount", 1, _MOST_CANDIDATES) or 1,
        top_logprobs=_read_logprobs(config),
        newer=newer,
    )


def read_count(fields: Fields) -> tuple[int, int]:
    """(tokens of a countTokens request, those of sound among them). Raises Rejection."""
    fields.only(frozenset({"contents", "generateContentRequest", "systemInstruction", "tools", "generationConfig"}))
    inner = fields.inner("generateContentRequest") or fields
    contents = read_contents(inner, signatures_needed=False)
    system = inner.inner("systemInstruction")
    said = [*([] if system is None else [read_content(system)]), *contents]
    return _count(said), _count_audio(said)


def _join(said: list[Content], *, sounds: bool = True) -> bytes:
    pieces = [
        f"{content.role}\n" + "\n".join(part.text for part in content.parts if sounds or not part.audio_tokens)
        for content in said
    ]
    return "\n".join(pieces).encode("utf-8", "surrogatepass")


def _count(said: list[Content]) -> int:
    """Sound counts by its length, all else by its text."""
    extra = sum(part.tokens for content in said for part in content.parts)
    return estimate_tokens(_join(said, sounds=False)) + extra + _CONTENT_TOKENS * len(said) + _count_audio(said)


def _count_audio(said: list[Content]) -> int:
    return sum(part.audio_tokens for content in said for part in content.parts)


def _check_plain_fields(config: Fields) -> None:
    config.number("temperature", 0, 2)
    config.number("topP", 0, 1)
    config.number("topK", 1, 10_000)
    config.number("presencePenalty", -2, 2)
    config.number("frequencyPenalty", -2, 2)
    config.whole("seed", -(2**31), 2**31 - 1)
    for modality in config.texts("responseModalities"):
        if modality != "TEXT":
            text = f"The requested combination of response modalities ({modality}) is not supported by the model."
            raise invalid(text, config.path("responseModalities"))


def _read_stop(config: Fields) -> tuple[str, ...]:
    found = config.texts("stopSequences", longest=_MOST_STOPS)
    if not all(found):
        raise invalid("The stop_sequences must not be empty.", config.path("stopSequences"))
    return found


def _read_thinking(config: Fields) -> bool:
    thinking = config.inner("thinkingConfig")
    if thinking is None:
        return False
    thinking.only(frozenset({"includeThoughts", "thinkingBudget", "thinkingLevel"}))
    budget = thinking.whole("thinkingBudget", -1, 32_768)
    level = thinking.choice("thinkingLevel", _LEVELS)
    if budget is not None and level is not None:
        raise invalid("You can only set only one of thinking budget and thinking level.", thinking.at)
    if thinking.flag("includeThoughts") and budget == 0:
        raise invalid("Unable to submit request because thinking is disabled, but thoughts are included.", thinking.at)
    return thinking.flag("includeThoughts")


def _read_format(config: Fields) -> dict[str, Any] | None:
    mime = config.choice("responseMimeType", _MIME_TYPES, "text/plain")
    closed, free = config.inner("responseSchema"), config.get("responseJsonSchema")
    if closed is not None and free is not None:
        raise invalid("Only one of response_schema and response_json_schema can be set.", config.at)
    if (closed is not None or free is not None) and mime == "text/plain":
        text = "Response schema is only supported with response mime type application/json or text/x.enum."
        raise invalid(text, config.path("responseMimeType"))
    if closed is not None:
        return read_schema(closed)
    if free is not None:
        return free if isinstance(free, dict) else {}
    return {"properties": {"answer": {"type": "string"}}} if mime == "application/json" else None


def _read_logprobs(config: Fields) -> int | None:
    wanted, top = config.flag("responseLogprobs"), config.whole("logprobs", 0, 20)
    if top is not None and not wanted:
        raise invalid("logprobs can only be set if response_logprobs is true.", config.path("logprobs"))
    return (top or 0) if wanted else None
