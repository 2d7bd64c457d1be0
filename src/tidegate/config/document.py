"""YAML text → a tree that keeps every line number and every scalar's source text.

Scalars are not given types here (`no`, `1.10` and `0.1` stay what was written): the reader knows what a field wants.
Built from parser events without recursion; depth is bounded here, alias expansion by the reader. Tags are refused.
"""

from typing import Final

import yaml

from tidegate.config.finding import Finding, Path, render_path

MAX_DEPTH: Final = 64
MAX_MERGED: Final = 100_000
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


class Node:
    """`line` counts from 1."""

    __slots__ = ("line",)

    def __init__(self, line: int) -> None:
        self.line = line


class ScalarNode(Node):
    __slots__ = ("plain", "text")

    def __init__(self, line: int, text: str, plain: bool) -> None:
        super().__init__(line)
        self.text = text
        self.plain = plain
        """Written without quotes."""

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in _NULLS


class ListNode(Node):
    __slots__ = ("items",)

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.items: list[Node] = []


class MapNode(Node):
    """`entries` in the order written; `key_lines` holds where each key stands."""

    __slots__ = ("entries", "key_lines")

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.entries: dict[str, Node] = {}
        self.key_lines: dict[str, int] = {}


class _Frame:
    """A collection whose end has not come yet. `key`: a mapping's key that waits for its value, or has just got it."""

    __slots__ = ("key", "key_line", "node", "waits")

    def __init__(self, node: ListNode | MapNode) -> None:
        self.node = node
        self.key = ""
        self.key_line = 0
        self.waits = False


class _Composer:
    """Builds the documents of one file from parser events."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.documents: list[Node] = []
        self.findings: list[Finding] = []
        self._frames: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()
        self._merged = 0

    def drop_unfinished(self) -> None:
        """Forgets the document that the file broke off in."""
        if self._frames:
            self.documents.pop()

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        match event:
            case yaml.DocumentStartEvent():
                self._anchors.clear()
                self._open.clear()
            case yaml.AliasEvent():
                self._add(self._aliased(event.anchor or "", line), line)
            case yaml.ScalarEvent():
                self._refuse_tag(event, line)
                node = ScalarNode(line, event.value, plain=not event.style)
                if event.anchor:
                    self._anchors[event.anchor] = node
                self._add(node, line)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._refuse_tag(event, line)
                self._begin(ListNode(line) if isinstance(event, yaml.SequenceStartEvent) else MapNode(line), event)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._end()
            case _:
                pass

    def _begin(self, node: ListNode | MapNode, event: yaml.NodeEvent) -> None:
        self._add(node, node.line)
        self._frames.append(_Frame(node))
        if len(self._frames) > MAX_DEPTH:
            raise _Refused(node.line, f"nested more than {MAX_DEPTH} levels deep")
        if event.anchor:
            self._anchors[event.anchor] = node
            self._open.add(event.anchor)

    def _end(self) -> None:
        node = self._frames.pop().node
        for anchor in [name for name in self._open if self._anchors.get(name) is node]:
            self._open.discard(anchor)
        if isinstance(node, MapNode):
            self._merge(node)

    def _merge(self, node: MapNode) -> None:
        """`<<: *defaults`: keys of the mapping itself win."""
        merged = node.entries.pop("<<", None)
        if merged is None:
            return
        line = node.key_lines.pop("<<")
        for source in merged.items if isinstance(merged, ListNode) else [merged]:
            if not isinstance(source, MapNode):
                raise _Refused(line, "`<<` merges mappings only")
            self._merged += len(source.entries)
            if self._merged > MAX_MERGED:
                raise _Refused(line, f"`<<` merges more than {MAX_MERGED} keys in this file")
            for key, value in source.entries.items():
                if key not in node.entries:
                    node.entries[key] = value
                    node.key_lines[key] = source.key_lines[key]

    def _add(self, node: Node, line: int) -> None:
        if not self._frames:
            self.documents.append(node)
            return
        frame = self._frames[-1]
        if isinstance(frame.node, ListNode):
            frame.node.items.append(node)
        elif frame.waits:
            self._set(frame.node, frame.key, frame.key_line, node)
            frame.waits = False
        elif isinstance(node, ScalarNode):
            frame.key, frame.key_line, frame.waits = node.text, line, True
        else:
            raise _Refused(line, "a key must be a plain word")

    def _set(self, mapping: MapNode, key: str, line: int, node: Node) -> None:
        if key in mapping.entries:
            message = f"the key is written twice (first in line {mapping.key_lines[key]})"
            self._find(line, message, "Keep one of them.", key)
            return
        mapping.entries[key] = node
        mapping.key_lines[key] = line

    def _aliased(self, anchor: str, line: int) -> Node:
        if anchor in self._open:
            raise _Refused(line, f"the alias `*{anchor}` stands inside what it names")
        if anchor not in self._anchors:
            raise _Refused(line, f"the alias `*{anchor}` names nothing above it")
        return self._anchors[anchor]

    def _refuse_tag(self, event: yaml.NodeEvent, line: int) -> None:
        tag: str | None = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise _Refused(line, f"the YAML tag `{tag}` is not used here", "Write the value without a tag.")

    def _find(self, line: int, message: str, hint: str, key: str) -> None:
        path: list[str | int] = []
        for frame in self._frames[:-1]:
            path.append(len(frame.node.items) - 1 if isinstance(frame.node, ListNode) else frame.key)
        path.append(key)
        self.findings.append(
            Finding(file=self.file, line=line, path=render_path(tuple(path)), message=message, hint=hint)
        )


class _Refused(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.hint = hint


def parse_documents(text: str, file: str) -> tuple[list[Node], list[Finding]]:
    """The documents of one file, empty ones left out, and what is wrong with its syntax."""
    composer = _Composer(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except _Refused as refusal:
        composer.drop_unfinished()
        composer.findings.append(
            Finding(file=file, line=refusal.line, path="", message=str(refusal), hint=refusal.hint)
        )
    except yaml.YAMLError as error:
        composer.drop_unfinished()
        composer.findings.append(_syntax_finding(error, file))
    documents = [one for one in composer.documents if not (isinstance(one, ScalarNode) and one.is_null)]
    return documents, composer.findings


def _syntax_finding(error: yaml.YAMLError, file: str) -> Finding:
    line, what = 0, "the file holds characters that YAML does not allow"
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 0
        what = f"not valid YAML: {error.problem or error.context}"
    return Finding(file=file, line=line, path="", message=what)


def line_of(root: Node, path: Path) -> int:
    """Where `path` stands below `root`: the line of the last step that was written."""
    line, node = root.line, root
    for step in path:
        if isinstance(node, MapNode) and isinstance(step, str) and step in node.entries:
            line, node = node.key_lines[step], node.entries[step]
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            line = node.line
        else:
            break
    return line


def is_written(root: Node, path: Path) -> bool:
    """Whether `path` stands below `root` in the source, as opposed to being a default."""
    node = root
    for step in path:
        if isinstance(node, MapNode) and isinstance(step, str) and step in node.entries:
            node = node.entries[step]
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            return False
    return True
