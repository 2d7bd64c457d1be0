"""From a request for what a provider keeps to the function that serves it."""

from collections.abc import Callable, Mapping
from typing import Final

from tidegate.decide.compiled import CompiledConsumer
from tidegate.gateway.kept import batches, files
from tidegate.gateway.kept.batch_watch import BatchWatch
from tidegate.gateway.kept.object_call import ObjectCall
from tidegate.gateway.kept.object_paths import ObjectAsked, ObjectKind, Verb
from tidegate.gateway.runtime import Runtime
from tidegate.wire.server import Exchange

_SERVED: Final[Mapping[tuple[ObjectKind, Verb], Callable[[ObjectCall], None]]] = {
    ("file", "create"): files.upload,
    ("file", "list"): files.list_files,
    ("file", "get"): files.get_file,
    ("file", "drop"): files.drop_file,
    ("file", "content"): files.file_content,
    ("message_file", "create"): files.upload,
    ("message_file", "list"): files.list_files,
    ("message_file", "get"): files.get_file,
    ("message_file", "drop"): files.drop_file,
    ("message_file", "content"): files.file_content,
    ("batch", "create"): batches.create_batch,
    ("batch", "list"): batches.list_batches,
    ("batch", "get"): batches.get_batch,
    ("batch", "cancel"): batches.cancel_batch,
    ("message_batch", "create"): batches.create_message_batch,
    ("message_batch", "list"): batches.list_batches,
    ("message_batch", "get"): batches.get_batch,
    ("message_batch", "cancel"): batches.cancel_batch,
    ("message_batch", "drop"): batches.drop_message_batch,
    ("message_batch", "content"): batches.message_results,
}


def serve_object(
    runtime: Runtime,
    watch: BatchWatch,
    exchange: Exchange,
    asked: ObjectAsked,
    consumer: CompiledConsumer,
    digest: bytes,
) -> None:
    """From here the ObjectCall lives by its callbacks."""
    call = ObjectCall(runtime, watch, exchange, asked, consumer, digest)
    if call.claim():
        call.guarded(lambda: _SERVED[asked.kind, asked.verb](call))
