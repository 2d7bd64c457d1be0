import pytest

from tidegate.wire.cors import Cors, CorsSettings
from tidegate.wire.message import Request


def request(method: bytes, *headers: tuple[bytes, bytes]) -> Request:
    return Request(method, b"/", b"/", b"", "1.1", headers=list(headers))


ASKS = (b"access-control-request-method", b"POST")
FIELDS = (b"access-control-request-headers", b"authorization,x-y")
GOOD = (b"origin", b"https://a.example")
OTHER = (b"origin", b"https://b.example")


def test_a_listed_origin_is_named_and_others_are_not() -> None:
    cors = Cors(CorsSettings(("https://A.example",), expose_headers=("x-request-id", "x-b")))
    assert cors.answer_headers(b"https://a.example") == (
        b"access-control-allow-origin: https://a.example\r\nvary: origin\r\n"
        b"access-control-expose-headers: x-request-id, x-b\r\n"
    )
    assert cors.answer_headers(b"https://a.example.evil") == b"vary: origin\r\n"
    assert cors.answer_headers(b"null") == b"vary: origin\r\n"
    assert cors.answer_headers(None) == b"vary: origin\r\n"


def test_any_origin() -> None:
    cors = Cors(CorsSettings(("*",)))
    assert cors.answer_headers(b"https://b.example") == b"access-control-allow-origin: *\r\n"
    assert cors.answer_headers(None) == b""


def test_a_preflight_is_answered_with_what_is_allowed() -> None:
    block = Cors(CorsSettings(("https://a.example",), allow_headers=("authorization", "x-z"), max_age=60)).preflight(
        request(b"OPTIONS", GOOD, ASKS, FIELDS)
    )
    assert block is not None
    lines = block.split(b"\r\n")
    assert b"access-control-allow-origin: https://a.example" in lines
    assert b"access-control-allow-headers: authorization, x-z" in lines
    assert b"access-control-max-age: 60" in lines
    assert any(line.startswith(b"access-control-allow-methods: ") and b"POST" in line for line in lines)


def test_without_a_list_the_fields_asked_for_are_allowed() -> None:
    cors = Cors(CorsSettings(("*",)))
    assert b"access-control-allow-headers: authorization,x-y\r\n" in (
        cors.preflight(request(b"OPTIONS", OTHER, ASKS, FIELDS)) or b""
    )
    assert b"allow-headers: " not in (cors.preflight(request(b"OPTIONS", OTHER, ASKS)) or b"")


def test_a_strangers_preflight_allows_nothing() -> None:
    cors = Cors(CorsSettings(("https://a.example",)))
    assert cors.preflight(request(b"OPTIONS", OTHER, ASKS)) == b"vary: origin\r\n"


@pytest.mark.parametrize(
    "other", [request(b"OPTIONS", GOOD), request(b"OPTIONS", ASKS), request(b"GET", GOOD, ASKS), request(b"OPTIONS")]
)
def test_what_is_no_preflight(other: Request) -> None:
    assert Cors(CorsSettings(("*",))).preflight(other) is None


@pytest.mark.parametrize(
    "settings", [CorsSettings(("*",), expose_headers=("a\r\nb: c",)), CorsSettings(("*",), allow_headers=("a\n",))]
)
def test_settings_that_would_split_a_header_are_refused(settings: CorsSettings) -> None:
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        Cors(settings)
