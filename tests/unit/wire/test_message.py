import pytest

from tidegate.wire.message import STATUS_LINES, Request, encode_headers


def test_headers_are_encoded_in_order_with_duplicates() -> None:
    assert encode_headers([]) == b""
    assert encode_headers([(b"a", b"1"), (b"b", b""), (b"a", b"x: y")]) == b"a: 1\r\nb: \r\na: x: y\r\n"


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\n", b"\xe9", b"a\0", b"a\n"])
def test_a_bad_name_is_no_header(name: bytes) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="field name"):
            encode_headers([(b"good", b"1"), (name, b"1")])


@pytest.mark.parametrize("value", [b"1\r\nx: y", b"1\n", b"\r", b"a\0", b"\r\n", b"a\r\n b"])
def test_a_value_cannot_split_a_header(value: bytes) -> None:
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        encode_headers([(b"good", b"1"), (b"a", value), (b"b", b"2")])


def test_many_names_do_not_grow_the_table_without_bound() -> None:
    for number in range(5000):
        assert encode_headers([(b"x-%d" % number, b"1")]) == b"x-%d: 1\r\n" % number


def test_a_request_gives_the_first_of_repeated_fields() -> None:
    request = Request(b"GET", b"/a?b", b"/a", b"b", "1.1", headers=[(b"x", b"1"), (b"x", b"2")])
    assert request.header(b"x") == b"1"
    assert request.header(b"y") is None
    assert "GET /a" in repr(request)
    assert "b" not in repr(request).replace("by", "")  # a query may hold a key


def test_status_lines() -> None:
    assert STATUS_LINES[200] == b"HTTP/1.1 200 OK\r\n"
    assert STATUS_LINES[599] == b"HTTP/1.1 599 Unknown\r\n"
