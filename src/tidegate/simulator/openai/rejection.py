"""Why a provider refuses a call, in OpenAI's words and shape (and Azure's)."""

import json
from typing import Any, Final

_TYPES: Final = {
    401: "invalid_request_error",
    403: "invalid_request_error",
    429: "requests",
    500: "server_error",
    502: "server_error",
    503: "server_error",
    504: "server_error",
}
_MESSAGES: Final = {
    401: "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
    403: "You are not allowed to do this from this project.",
    408: "Request timed out.",
    409: "The resource was changed by another request. Please try again.",
    429: "Rate limit reached for requests. Please try again later.",
    500: "The server had an error while processing your request. Sorry about that!",
    502: "Bad gateway.",
    503: "The engine is currently overloaded, please try again later.",
    504: "The server did not answer in time. Please try again.",
}
_CODES: Final = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_CODE_MESSAGES: Final = {
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
    "context_length_exceeded": "This model's maximum context length was exceeded by your messages. Please reduce the "
    "length of the messages.",
    "content_filter": "The response was filtered due to the prompt triggering the content management policy.",
}


class Rejection(Exception):
    """An error answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        """"" is null on the wire."""

    @classmethod
    def of_status(cls, status: int, code: str = "") -> "Rejection":
        """The usual error of a status, or of one of its codes."""
        code = code or _CODES.get(status, "")
        kind = "insufficient_quota" if code == "insufficient_quota" else _TYPES.get(status, "invalid_request_error")
        message = _CODE_MESSAGES.get(code) or _MESSAGES.get(status, "The request could not be served.")
        return cls(status, message, kind=kind, code=code)

    def body(self, azure: bool = False) -> bytes:
        """As sent."""
        return (json.dumps({"error": self.fields(azure)}, ensure_ascii=False, indent=2) + "\n").encode()

    def fields(self, azure: bool = False) -> dict[str, Any]:
        """The error object. Azure's front door names a code and a message only."""
        if azure and self.status in (401, 403, 404, 429):
            return {"code": _azure_code(self), "message": self.message}
        return {"message": self.message, "type": self.kind, "param": self.param, "code": self.code or None}


def _azure_code(rejection: Rejection) -> str:
    return "DeploymentNotFound" if rejection.code == "model_not_found" else str(rejection.status)


def missing(name: str) -> Rejection:
    """A parameter that must be there."""
    return Rejection(400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def wrong_type(name: str, expected: str, value: object) -> Rejection:
    """A value of another JSON type than the parameter's. `expected` comes with its article."""
    message = f"Invalid type for '{name}': expected {expected}, but got {_article(value)} instead."
    return Rejection(400, message, param=name, code="invalid_type")


def wrong_value(name: str, value: object, supported: tuple[str, ...]) -> Rejection:
    """A value that is not among those that the parameter may have."""
    *others, last = (f"'{item}'" for item in supported)
    listed = f"{', '.join(others)}{',' if len(others) > 1 else ''} and {last}" if others else last
    message = f"Invalid value: '{value}'. Supported values are: {listed}."
    return Rejection(400, message, param=name, code="invalid_value")


def out_of_range(name: str, value: object, bound: str, code: str) -> Rejection:
    """A number, or a length, outside of its bounds."""
    return Rejection(400, f"Invalid '{name}': {value} is out of bounds. Expected {bound}.", param=name, code=code)


def _article(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a decimal number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
