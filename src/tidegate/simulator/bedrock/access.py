"""Who calls: a bearer token, or a signature (SigV4) by the one access key that there is here."""

from typing import Final

from tidegate.simulator.rejection import Rejection
from tidegate.wire.message import Request
from tidegate.wire.sigv4_check import SCHEME, BadSignature, is_good, read_presented

KEY_ID: Final = "AKIASIMULATED0000000"
SECRET: Final = "simulated/secret+access/key"  # noqa: S105 - no one's
_SERVICE: Final = "bedrock"


def key_of(request: Request) -> str:
    """The token, or the access key's id if it signed this very request; "" for neither. Raises Rejection."""
    told = request.header(b"authorization") or b""
    if not told.startswith(SCHEME):
        scheme, _, token = told.partition(b" ")
        return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""
    try:
        presented = read_presented(request)
    except BadSignature as error:
        raise Rejection(403, str(error), kind="IncompleteSignatureException") from error
    if presented.key_id != KEY_ID:
        text = "The security token included in the request is invalid."
        raise Rejection(403, text, kind="UnrecognizedClientException")
    if presented.service != _SERVICE or not is_good(presented, SECRET, request):
        text = (
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
            "Key and signing method. Consult the service documentation for details."
        )
        raise Rejection(403, text, kind="InvalidSignatureException")
    return presented.key_id
