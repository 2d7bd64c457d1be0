"""What goes upstream for one attempt: the relay that serves the call, the body, the head."""

import logging
from typing import Final, NamedTuple

from tidegate.core.view import View
from tidegate.decide.compiled import CompiledTarget
from tidegate.dialects.dialect import Dialect, Relay, UnreadableRequest
from tidegate.dialects.registry import DIALECTS, relay_between, spoken_to
from tidegate.dialects.remote import NeedsBytes
from tidegate.gateway.attempts.reshaping import reshaped
from tidegate.gateway.attempts.verbatim import Verbatim, VerbatimRelay
from tidegate.gateway.credentials.signing import signature
from tidegate.gateway.faults import not_dropped, not_encoded, unserved
from tidegate.gateway.headers import upstream_headers
from tidegate.gateway.upstreams import Credential
from tidegate.wire.message import Request, encode_headers

JSON_MEDIA: Final = b"application/json"

log = logging.getLogger(__name__)


class Outgoing(NamedTuple):
    dialect: Dialect
    """The upstream's."""
    relay: Relay
    model: str
    """As the upstream calls it."""
    body: bytes
    stream: bool
    """What the upstream is asked for: what the client asked for, but where an upstream can do only one of the two."""


def encoded(view: View, target: CompiledTarget, *, output_cap: int | None, strict: bool) -> Outgoing:
    """The call as this target gets it. Sets in `view` what this attempt drops and leaves behind.

    Raises UnreadableRequest where this target cannot serve the call, NeedsBytes where it can once files are fetched.
    """
    provider = target.provider
    dialect = spoken_to(view.dialect, provider.dialect, provider.quirks, target.spec.model)
    streams = None
    if isinstance(view.parts, Verbatim):
        relay: Relay | None = VerbatimRelay(DIALECTS[view.dialect])
    else:
        streams = None if target.streams is None else reshaped(view, target.streams)
        relay = relay_between(view.dialect, dialect, view.operation, streams)
    if relay is None:
        raise unserved(view, provider.dialect)
    view.dropped = view.left = view.upstream_headers = ()  # of the attempt before
    view.first_call_alone, view.calls_left_out = False, 0
    view.answer_media = ""
    try:
        body = relay.encode_request(view, target.upstream, output_cap=output_cap)
    except (NeedsBytes, UnreadableRequest):
        raise
    except Exception as error:
        # A bug of a dialect: escaping from here, on a timer's word perhaps, it would leave the call open for ever.
        log.exception("a request could not be encoded")
        raise UnreadableRequest(not_encoded(target.label)) from error
    if view.dropped and strict:
        raise not_dropped(view)
    return Outgoing(dialect, relay, target.spec.model, body, view.stream if streams is None else streams)


def upstream_head(
    view: View, request: Request, credential: Credential, outgoing: Outgoing, framing: bytes, now_ns: int
) -> bytes:
    """The request line and all headers. `framing`: the end of the head, which says how long the body is."""
    dialect, relay, model, body, stream = outgoing
    if isinstance(view.parts, Verbatim):
        own = view.parts.headers
        fixed = credential.head_of(view.parts.method, view.parts.target)
    else:
        own = _native_headers(request, dialect) if relay.native else credential.defaults
        fixed = credential.head(dialect, view.operation, view.path or model + view.suffix, stream)
    if view.upstream_headers:
        own = encode_headers(view.upstream_headers)
    if view.media:
        # The client's form, or what a translation has made of it.
        own += encode_headers([(b"content-type", view.media if relay.native else JSON_MEDIA)])
    if credential.signer is not None:
        own += signature(credential.signer, fixed, body, now_ns)
    return b"".join((fixed, upstream_headers(request), own, framing))


def _native_headers(request: Request, dialect: Dialect) -> bytes:
    """The client's own headers of the dialect, and what must be there of those that it did not send."""
    lacking = [pair for pair in dialect.default_headers() if request.header(pair[0]) is None]
    sent = upstream_headers(request, dialect.native_headers)
    return sent + encode_headers(lacking) if lacking else sent
