"""The few fields of a request that decisions need. The body stays bytes."""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from tidegate.core.clock import Clock
from tidegate.core.usage import Units

Operation = Literal[
    "chat",
    "completion",
    "embedding",
    "moderation",
    "inference",
    "prediction",
    "generation",
    "description",
    "token_count",
    "compaction",
    "response_read",
    "response_input",
    "response_cancel",
    "response_delete",
    "rerank",
    "image",
    "image_edit",
    "image_variation",
    "speech",
    "transcription",
    "translation",
    "passthrough",
    "object",
    "batch",
    "background",
    "realtime",
]

STORED: frozenset[Operation] = frozenset(("response_read", "response_input", "response_cancel", "response_delete"))
"""They concern an answer that its upstream keeps, `View.about`; their requests have no body."""
FREE: frozenset[Operation] = frozenset(("description", "token_count", "object")) | STORED
"""They compute nothing: they count as a request, and cost nothing."""
UNMETERED: frozenset[Operation] = frozenset(
    ("image", "image_edit", "image_variation", "speech", "transcription", "translation")
)
"""Their answers need not say what was used, and no field of their requests bounds the output."""
OPAQUE: frozenset[Operation] = frozenset(
    ("speech", "transcription", "translation", "passthrough", "inference", "prediction")
)
"""Their answers are of whatever content type the upstream says, where nothing is translated."""
FORMS: frozenset[Operation] = frozenset(
    ("image_edit", "image_variation", "transcription", "translation", "inference", "prediction")
)
"""Their requests need not be JSON: their content type says how to read them (`PathTells.media`)."""
METHODS: dict[Operation, bytes] = {
    "description": b"GET",
    "response_read": b"GET",
    "response_input": b"GET",
    "response_delete": b"DELETE",
    "realtime": b"GET",
}
"""The HTTP method of operations that are no POST."""


class PathTells(Struct, frozen=True):
    """What a request says of the call outside its body, in dialects that put it there: above all the path and query."""

    model: str = ""
    stream: bool = False
    suffix: str = ""
    """What the client's path has behind the model's name and the upstream's must have too: a version, a verb."""
    form: str = ""
    """The form of the stream where a dialect has several (Gemini: `array` without `alt=sse`)."""
    media: bytes = b""
    """The request's content type, where the operation is one of `FORMS`."""
    json_bytes: bytes = b""
    """How long the JSON at the body's front is, as a header says where binary tensors follow it; else b""."""
    key_digest: bytes = b""
    """SHA-256 of the API key in the query, in dialects whose clients may put it there; the key itself is not kept."""


NO_PATH_TELLS = PathTells()


class FetchedBytes(Struct, frozen=True):
    """A file that a request gave by its URL."""

    media_type: str
    """What its first bytes say."""
    data: str
    """Base64."""


class Pin(Struct, frozen=True):
    """The one credential that can serve a call, because something that the request names is kept there."""

    provider: str
    credential: str
    because: str
    """A clause for people: "`previous_response_id` names a response that it keeps"."""
    field: str = ""
    """The request's field that names it, as the client wrote it."""


class Reference(Struct, frozen=True):
    """Something that a request names and that one credential alone may have."""

    kind: Literal[
        "response",
        "conversation",
        "file",
        "message_file",
        "vector_store",
        "container",
        "prompt",
        "item",
        "thought",
        "sealed",
    ]
    """thought: an item that the request tells too, but for what the upstream kept. sealed: a ciphertext."""
    name: str
    """Its id; of what is sealed, the text itself."""
    field: str
    """The request's field that holds it, as the client wrote it."""


class HostedSearch(Struct, frozen=True):
    """Searches that the upstream makes by itself, as often as the model asks for them: what the request says of them.

    Each comes on top of the tokens, and after each the model reads all of its input again, with what was found.
    """

    web: bool = False
    files: bool = False
    most: int | None = None
    """How many the client allows, all kinds together; None when it set no bound."""
    boundable: bool = True
    """The dialect has a field for that bound, which can be set for want of the client's own."""


Kept = tuple[Literal["response", "item", "container", "sealed"], str]
"""What an answer left at its upstream: kind and name, as in `Reference`."""


class View(Struct):
    """Made by a dialect's reader. Token counts are estimates from bytes; nothing is tokenised before a call."""

    dialect: str
    operation: Operation
    model: str
    stream: bool
    fields: dict[str, msgspec.Raw]
    """The top level of the body, each value's bytes untouched, duplicate keys resolved to the last."""
    body_bytes: int
    estimated_input_tokens: int
    """For token limits: a fair guess (bytes / 4)."""
    worst_input_tokens: int
    """For budgets: an upper bound (a token is at least a byte; images counted apart)."""
    max_output_tokens: int | None
    """What the client allows, over all choices; None when it set no bound; 0 where an operation has no output."""
    choices: int = 1
    """How many answers it asks for: a bound that is set for want of the client's own holds for each of them."""
    hidden_context: bool = False
    """It names what the upstream keeps (a conversation, a prompt): the input may fill the model's whole context."""
    requests: int = 1
    """For how many requests' price (`perRequest`) it counts: the images that it asks for."""
    units: Units | None = None
    """The most that the call can consume beside tokens, as far as the request tells."""
    searches: HostedSearch | None = None
    """None where no tool of the upstream's searches."""
    search_cap: int | None = None
    """A bound on them to set upstream where the client set none: put there once the call is admitted."""
    tier: str = ""
    """The service tier that it asks for, as answers name it; "": the standard one, or what the account has set."""
    parts: Struct | None = None
    """The body of one of `FORMS` that is not JSON: a `wire.multipart.Form`, say. What it holds is in no `fields`."""
    media: bytes = b""
    """The content type of what goes upstream, where it is one of `FORMS`."""
    usage_asked: bool = False
    """The client itself asked for the usage chunk of a stream."""
    affinity: bytes = b""
    """Prompt prefix for hash routing."""
    form: str = ""
    """Of the stream: see PathTells."""
    suffix: str = ""
    """See PathTells."""
    id: str = ""
    """The call's, for answers whose upstream gave none."""
    time_ns: int = 0
    """When the call arrived, wall time."""
    clock: Clock | None = None
    """Tells when its answer ends; without one, that is when it came."""
    previous: str = ""
    """The name of the earlier answer that this call goes on from, in dialects whose servers keep answers."""
    refers: tuple[Reference, ...] = ()
    """What it names that lies at one upstream."""
    left: tuple[Kept, ...] = ()
    """What the answer has left at its upstream so far and nobody has taken note of yet: put there by its reader."""
    about: str = ""
    """The answer at the upstream that it asks for again, or that it has made there."""
    path: str = ""
    """What the upstream's path has behind the operation's own, where that is not the model's to say."""
    background: bool = False
    """It is answered before it is done."""
    pin: Pin | None = None
    """Set where the call cannot go to any other credential."""
    answer_media: str = ""
    """The content type of an answer that was translated: put there by the client's encoder, "" where it is JSON."""
    kept: bytes = b""
    """The answer as the client may ask for it again: put there by the client's encoder, b"" where nothing shall be kept."""
    headers: list[tuple[bytes, bytes]] = []
    """The request's, for upstreams that want in the body what the client's dialect has in a header."""
    upstream_headers: tuple[tuple[bytes, bytes], ...] = ()
    """Of the dialect's own, what the attempt under way must send: the reverse of it. Empty: its defaults."""
    version: bytes = b""
    """Of the API, as the family's own dialect says it in a header, where the client has said it in its body."""
    fetched: Mapping[str, FetchedBytes] = {}
    """By URL, what had to be fetched for an upstream that takes bytes alone."""
    dropped: tuple[str, ...] = ()
    """Hints that the attempt under way does without, by the client's names."""
    renamed_tools: dict[str, str] = {}
    """The upstream's name of a tool → the client's, where the attempt under way had to change it."""
    first_call_alone: bool = False
    """The answer of the attempt under way may hold more tool calls than the one that the client asked for."""
    calls_left_out: int = 0
    """How many it held, so far."""
