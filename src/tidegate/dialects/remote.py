"""Files that a client gives by URL and an upstream takes as bytes alone: fetched by the gateway, then encoded again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from tidegate.core.problem import Problem
from tidegate.core.view import FetchedBytes
from tidegate.dialects.canon import File, Image, Item, Message, ToolResult
from tidegate.dialects.dialect import UnreadableRequest

Kind = type[Image] | type[File]
REMOTE: Final = ("http://", "https://")
_LONGEST_NAME: Final = 100


class NeedsBytes(UnreadableRequest):
    """It can be honoured once `View.fetched` has `wanted`; where nothing is fetched, `problem` is what the client hears."""

    def __init__(self, problem: Problem, *kinds: Kind, wanted: Mapping[str, Kind] | None = None) -> None:
        super().__init__(problem)
        self.kinds = kinds
        """Of parts that the upstream takes as bytes alone."""
        self.wanted: Mapping[str, Kind] = {} if wanted is None else wanted
        """URL → what is to be there."""


def remote_files(items: Sequence[Item], kinds: tuple[Kind, ...]) -> dict[str, Kind]:
    """The URLs of all parts of these kinds."""
    found = {part.url: type(part) for part in _parts(items) if isinstance(part, kinds) and part.url}
    return {url: kind for url, kind in found.items() if url.lower().startswith(REMOTE)}


def put_bytes(items: Sequence[Item], fetched: Mapping[str, FetchedBytes]) -> None:
    """Puts what was fetched in the place of its URL."""
    for part in _parts(items):
        told = fetched.get(part.url) if part.url else None
        if told is None:
            continue
        if isinstance(part, File) and not part.name:
            part.name = _name_in(part.url)
        part.url, part.data, part.media_type = "", told.data, told.media_type


def _parts(items: Sequence[Item]) -> Iterator[Image | File]:
    for item in items:
        if isinstance(item, Message | ToolResult):
            yield from (part for part in item.parts if isinstance(part, Image | File))


def _name_in(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])[:_LONGEST_NAME]
