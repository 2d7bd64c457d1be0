"""Errors in Bedrock's shape: a name in a header, a message in the body; in a stream, a frame."""

from typing import Final

import msgspec

from tidegate.simulator.rejection import Rejection
from tidegate.wire.eventstream import encode_frame

_NAMES: Final = {
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_MESSAGES: Final = {
    401: "The security token included in the request is invalid.",
    403: "You don't have access to the model with the specified model ID.",
    404: "The requested resource was not found.",
    408: "The model took too long to answer.",
    429: "Too many requests, please wait before trying again.",
    500: "The system encountered an unexpected error during processing. Try your request again.",
    503: "Bedrock is unable to process your request.",
}


def error_name(rejection: Rejection) -> str:
    """Of the exception; a Rejection's kind where it is one of Bedrock's."""
    if rejection.kind.endswith("Exception"):
        return rejection.kind
    return _NAMES.get(rejection.status, "ValidationException" if rejection.status < 500 else "InternalServerException")


def encode_error(rejection: Rejection) -> bytes:
    """As sent."""
    message = rejection.message
    if rejection.code == "context_length_exceeded" and rejection.usual:
        message = "Input is too long for requested model."
    elif rejection.usual:
        message = _MESSAGES.get(rejection.status, "The request could not be served.")
    return msgspec.json.encode({"message": message})


def exception_frame(name: str, message: str) -> bytes:
    headers = ((":exception-type", name), (":content-type", "application/json"), (":message-type", "exception"))
    return encode_frame(headers, msgspec.json.encode({"message": message}))
