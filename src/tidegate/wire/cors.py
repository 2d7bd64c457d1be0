"""Cross-origin requests (Fetch standard, CORS protocol): preflight answers and the fields that answers carry.

Credentials mode is not offered: callers send a key in a field, never a cookie.
"""

from dataclasses import dataclass

from tidegate.wire.message import Request, encode_headers

_METHODS = b"GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS"


@dataclass(frozen=True, slots=True)
class CorsSettings:
    """`allow_origins` may hold `*`. Without `allow_headers` every field that a preflight asks for is allowed."""

    allow_origins: tuple[str, ...]
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: int = 600


class Cors:
    """The settings, encoded. Raises ValueError where they cannot stand in a header."""

    def __init__(self, settings: CorsSettings) -> None:
        self._any = "*" in settings.allow_origins
        self._origins = frozenset(origin.lower().encode() for origin in settings.allow_origins)
        self._allow_headers = ", ".join(settings.allow_headers).encode()
        exposed = ", ".join(settings.expose_headers).encode()
        self._expose = encode_headers([(b"access-control-expose-headers", exposed)]) if exposed else b""
        self._max_age = encode_headers([(b"access-control-max-age", b"%d" % settings.max_age)])
        encode_headers([(b"access-control-allow-headers", self._allow_headers)])

    def answer_headers(self, origin: bytes | None) -> bytes:
        """The block to add to an answer; `vary` always, for caches, where the answer depends on the origin."""
        if self._any:
            return b"" if origin is None else b"access-control-allow-origin: *\r\n" + self._expose
        if origin is None or origin.lower() not in self._origins:
            return b"vary: origin\r\n"
        return b"access-control-allow-origin: %b\r\nvary: origin\r\n%b" % (origin, self._expose)

    def preflight(self, request: Request) -> bytes | None:
        """The header block of the 204 that answers a preflight; None when `request` is none."""
        origin = request.header(b"origin")
        if request.method != b"OPTIONS" or origin is None or request.header(b"access-control-request-method") is None:
            return None
        if not self._any and origin.lower() not in self._origins:
            return b"vary: origin\r\n"
        allowed = self._allow_headers or request.header(b"access-control-request-headers") or b""
        block = b"access-control-allow-origin: %b\r\nvary: origin, access-control-request-headers\r\n" % (
            b"*" if self._any else origin
        )
        block += b"access-control-allow-methods: %b\r\n%b" % (_METHODS, self._max_age)
        if allowed:
            block += b"access-control-allow-headers: %b\r\n" % allowed
        return block
