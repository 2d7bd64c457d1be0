"""Why the server refuses what a client sent. Raised by the parsers, answered by the connection."""


class WireFault(Exception):
    """The message cannot be served: answer `status` and close. `message` may be shown to the client."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def malformed(message: str) -> WireFault:
    """A 400: the bytes are not what RFC 9112 asks for, so nothing after them on the connection can be trusted."""
    return WireFault(400, "invalid_request", message)


def too_large(status: int, message: str) -> WireFault:
    """A 413, 414 or 431: well-formed so far, and over a limit."""
    return WireFault(status, "request_too_large", message)
