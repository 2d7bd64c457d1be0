"""From a request for what a provider keeps to the function that serves it."""

from collections.abc import Callable, Mapping
from typing import Final

from tidegate.decide.compiled import CompiledConsumer
from tidegate.gateway.kept import batches, collected, files
from tidegate.gateway.kept.batch_watch import BatchWatch
from tidegate.gateway.kept.object_call import ObjectCall
from tidegate.gateway.kept.object_paths import ObjectAsked, ObjectKind, Verb
from tidegate.gateway.runtime import Runtime
from tidegate.wire.server import Exchange

Act = Callable[[ObjectCall], None]

_FILES: Final[Mapping[Verb, Act]] = {
    "create": files.upload,
    "list": files.list_files,
    "get": files.get_file,
    "drop": files.drop_file,
    "content": files.file_content,
}
_COLLECTED: Final[Mapping[Verb, Act]] = {
    "create": collected.create,
    "list": collected.list_own,
    "get": collected.get,
    "change": collected.change,
    "drop": collected.drop,
    "below": collected.below,
}
_SERVED: Final[Mapping[tuple[ObjectKind, Verb], Act]] = {
    **{(kind, verb): act for kind in ("file", "message_file") for verb, act in _FILES.items()},
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
    **{(kind, verb): act for kind in ("conversation", "vector_store", "container") for verb, act in _COLLECTED.items()},
    ("upload", "create"): collected.create,
    ("upload", "below"): collected.below,
    ("upload", "complete"): collected.complete,
    ("upload", "cancel"): collected.cancel,
}
"""What `object_paths` lets pass."""


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
