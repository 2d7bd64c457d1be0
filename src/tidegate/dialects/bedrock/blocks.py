"""Converse's content blocks as they come, from clients and from upstreams, and what of them goes both ways.

Source: `ContentBlock` of botocore's model of bedrock-runtime. A block is a union: exactly one of its members is there.
"""

from msgspec import Raw, Struct, field

from tidegate.dialects.canon import Citation
from tidegate.dialects.fields import NULL


class Source(Struct, rename="camel"):
    data: str | None = field(default=None, name="bytes")
    """Base64."""
    s3_location: Raw = NULL
    text: str | None = None
    content: Raw = NULL


class Media(Struct, rename="camel"):
    """An image or a sound."""

    format: str
    source: Source


class CitationsWanted(Struct):
    enabled: bool = False


class Document(Struct, rename="camel"):
    name: str
    source: Source
    format: str | None = None
    context: str | None = None
    citations: CitationsWanted | None = None


class ToolUse(Struct, rename="camel"):
    tool_use_id: str
    name: str
    input: Raw = NULL
    type: str | None = None


class ResultBlock(Struct, rename="camel"):
    json: Raw = NULL
    text: str | None = None
    image: Media | None = None
    document: Document | None = None
    video: Raw = NULL
    search_result: Raw = NULL


class ToolAnswer(Struct, rename="camel"):
    tool_use_id: str
    content: list[ResultBlock]
    status: str | None = None


class ReasoningText(Struct):
    text: str
    signature: str | None = None


class ReasoningContent(Struct, rename="camel"):
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None
    """Base64."""


class CachePoint(Struct):
    type: str = "default"
    ttl: str | None = None


class TextOnly(Struct):
    text: str = ""


class WebLocation(Struct):
    url: str = ""


class Location(Struct):
    web: WebLocation | None = None


class CitationTold(Struct, rename="camel"):
    title: str | None = None
    source: str | None = None
    source_content: list[TextOnly] | None = None
    location: Location | None = None


class CitationsContent(Struct):
    content: list[TextOnly] | None = None
    citations: list[CitationTold] | None = None


class Block(Struct, rename="camel"):
    text: str | None = None
    image: Media | None = None
    document: Document | None = None
    audio: Media | None = None
    tool_use: ToolUse | None = None
    tool_result: ToolAnswer | None = None
    reasoning_content: ReasoningContent | None = None
    cache_point: CachePoint | None = None
    citations_content: CitationsContent | None = None
    video: Raw = NULL
    guard_content: Raw = NULL
    search_result: Raw = NULL
    tool_addition: Raw = NULL
    tool_removal: Raw = NULL


def citation_of(told: CitationTold) -> Citation | None:
    """The hub knows citations of web pages; of documents it knows none."""
    web = None if told.location is None else told.location.web
    if web is None or not web.url:
        return None
    words = "".join(one.text for one in told.source_content or ())
    return Citation(web.url, told.title or "", text=words)


def citation_object(citation: Citation) -> dict[str, object]:
    told: dict[str, object] = {"location": {"web": {"url": citation.url}}}
    if citation.title:
        told["title"] = citation.title
    if citation.text:
        told["sourceContent"] = [{"text": citation.text}]
    return told
