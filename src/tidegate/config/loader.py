"""Files → Resources. Every mistake of every file is found in one pass."""

from collections.abc import Mapping
from pathlib import Path

from tidegate.config.document import MapNode, Node, ScalarNode, parse_documents
from tidegate.config.finding import ConfigErrors, Finding, did_you_mean, render_path
from tidegate.config.reader import INVALID, MAX_VALUES, Reader, TooManyValues, not_yet_message
from tidegate.config.resources import KINDS, KINDS_NOT_YET, Resource, Resources, Source

MAX_FILE_BYTES = 32 * 1024 * 1024


def load(path: Path, env: Mapping[str, str]) -> Resources:
    """Reads one file, or every `*.yaml` and `*.yml` of a folder (not of folders below it) in the order of their names.

    Messages call files by their name as it follows from `path`. Raises ConfigErrors with everything found.
    """
    loading = _Loading(env)
    for file in config_files(path):
        loading.take_file(file)
    if not loading.findings and not loading.resources.sources:
        loading.findings.append(
            Finding(
                file=str(path), line=0, path="", message="holds no resource", hint="Write one, or name another file."
            )
        )
    if loading.findings:
        raise ConfigErrors(loading.findings)
    return loading.resources


def config_files(path: Path) -> list[Path]:
    """The files that `load` reads. Raises ConfigErrors when there are none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigErrors([Finding(file=str(path), line=0, path="", message="there is no such file or folder")])
    found = sorted(
        one
        for one in path.iterdir()
        if one.suffix in (".yaml", ".yml") and not one.name.startswith(".") and one.is_file()
    )
    if not found:
        raise ConfigErrors(
            [Finding(file=str(path), line=0, path="", message="the folder holds no *.yaml or *.yml file")]
        )
    return found


def fingerprint(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Changes when a file that `load` reads changes, comes or goes: (name, mtime in ns, size, inode) of each.

    () while there is nothing to read. For hot reload: compare with the last one.
    """
    try:
        stats = [(str(file), file.stat()) for file in config_files(path)]
    except (ConfigErrors, OSError):
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in stats)


class _Loading:
    def __init__(self, env: Mapping[str, str]) -> None:
        self.resources = Resources()
        self.findings: list[Finding] = []
        self._env = env

    def take_file(self, file: Path) -> None:
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                self._find(file, 0, f"the file is larger than {MAX_FILE_BYTES // 2**20} MiB", "Split it.")
                return
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            self._find(file, 0, "the file is not UTF-8 text")
            return
        except OSError as error:
            self._find(file, 0, f"the file cannot be read: {error.strerror}")
            return
        documents, findings = parse_documents(text, str(file))
        self.findings.extend(findings)
        for document in documents:
            self._take_document(file, document)

    def _take_document(self, file: Path, document: Node) -> None:
        if not isinstance(document, MapNode):
            self._find(file, document.line, "a document is a mapping with `kind`, `metadata` and `spec`")
            return
        kind = self._kind(file, document)
        if kind is None:
            return
        reader = Reader(str(file), file.parent.absolute(), self._env)
        try:
            resource = reader.read_struct(document, kind)
        except TooManyValues:
            self._find(
                file, document.line, f"the document expands to more than {MAX_VALUES} values", "Use fewer aliases."
            )
            return
        self.findings.extend(reader.findings)
        if resource is not INVALID:
            self._add(resource, Source(str(file), document))

    def _kind(self, file: Path, document: MapNode) -> type[Resource] | None:
        node = document.entries.get("kind")
        if not isinstance(node, ScalarNode) or node.is_null:
            self._find(file, document.line, "`kind` is missing", f"Known kinds: {', '.join(KINDS)}.")
            return None
        if node.text in KINDS:
            return KINDS[node.text]
        if node.text in KINDS_NOT_YET:
            message, hint = not_yet_message(f"the kind `{node.text}`")
        else:
            message, hint = f"`{node.text}` is no kind", did_you_mean(node.text, list(KINDS), "kinds")
        self._find(file, document.key_lines["kind"], message, hint, "$.kind")
        return None

    def _add(self, resource: Resource, source: Source) -> None:
        name = resource.metadata.name
        other = self.resources.sources.get((resource.kind, name))
        if other is None and resource.kind == "Gateway" and self.resources.gateway is not None:
            other = self.resources.sources["Gateway", self.resources.gateway.metadata.name]
        if other is None:
            self.resources.add(resource, source)
            return
        line = source.root.line
        what = "a second Gateway" if resource.kind == "Gateway" else f"a second {resource.kind} called `{name}`"
        message = f"{what}; the first stands at {other.file}:{other.root.line}"
        self._find(Path(source.file), line, message, "Keep one of them.", render_path(("metadata", "name")))

    def _find(self, file: Path, line: int, message: str, hint: str = "", path: str = "") -> None:
        self.findings.append(Finding(file=str(file), line=line, path=path, message=message, hint=hint))
