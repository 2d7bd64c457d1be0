"""Why a provider refuses a call, before any dialect has put it into its shape."""

from typing import Final

_KINDS: Final = {
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
    """An error answer. A dialect raises it in its own words; where `usual`, each dialect says its own for the status."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str = "",
        usual: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        """"" if it has none."""
        self.usual = usual
        """It comes from the profile, not from what the request says; the words are OpenAI's."""

    @classmethod
    def of_status(cls, status: int, code: str = "") -> "Rejection":
        """The usual error of a status, or of one of its codes."""
        code = code or _CODES.get(status, "")
        kind = "insufficient_quota" if code == "insufficient_quota" else _KINDS.get(status, "invalid_request_error")
        message = _CODE_MESSAGES.get(code) or _MESSAGES.get(status, "The request could not be served.")
        return cls(status, message, kind=kind, code=code, usual=True)
