"""What translations of operations without streams share: everything but their three steps."""

from tidegate.core.view import View
from tidegate.dialects.dialect import Dialect, Splitter, StreamReader, UnreadableAnswer


class WholeTranslation:
    """The part of a Relay that is the same for every operation whose answers come whole. Stateless."""

    native = False
    stream_head = ""

    def __init__(self, upstream: Dialect) -> None:
        self._upstream_dialect = upstream
        self.upstream_media = upstream.upstream_media

    def stream_reader(self, view: View) -> StreamReader:
        raise UnreadableAnswer(f"answers of the operation {view.operation} do not stream between dialects")

    def splitter(self) -> Splitter:
        return self._upstream_dialect.splitter()
