"""Forms of several parts: read in one way or not at all, and renamed without another byte changed."""

from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.multipart import MAX_HEAD_BYTES, MAX_PARTS, MAX_VALUE_BYTES, MultipartError, read_form

MEDIA = b"multipart/form-data; boundary=B-1"


def part(disposition: bytes, content: bytes = b"x", more: bytes = b"") -> bytes:
    return b"--B-1\r\nContent-Disposition: form-data" + disposition + b"\r\n" + more + b"\r\n" + content + b"\r\n"


def field(name: bytes, content: bytes = b"x") -> bytes:
    return part(b'; name="%b"' % name, content)


END = b"--B-1--\r\n"
FILE = part(
    b'; name="file"; filename="a %22b%22 \xc3\xbc.mp3"', b"\x00\xff\r\n--x\r\n", b"Content-Type: audio/mpeg\r\n"
)
BODY = field(b"model", b"whisper") + field(b"prompt", b"Hall\xc3\xb6") + FILE + field(b"empty", b"") + END


def refused(body: bytes, media: bytes = MEDIA) -> str:
    with pytest.raises(MultipartError) as caught:
        read_form(media, body)
    return str(caught.value)


def test_parts_and_where_they_are() -> None:
    form = read_form(MEDIA, BODY)
    assert [(one.name, one.is_file, form.value(one)) for one in form.parts] == [
        ("model", False, b"whisper"),
        ("prompt", False, b"Hall\xc3\xb6"),
        ("file", True, b"\x00\xff\r\n--x\r\n"),
        ("empty", False, b""),
    ]
    assert form.content_type == MEDIA


def test_what_a_file_is_called_and_calls_itself() -> None:
    more = b"content-type: Audio/MPEG; codecs=mp3\r\n"
    body = FILE + part(b'; name="b"; filename="\xff.wav"', more=more) + part(b"; name=\"c\"; filename*=UTF-8''x") + END
    told = [(one.filename, one.media_type, one.is_file) for one in read_form(MEDIA, body).parts]
    assert told == [("a %22b%22 ü.mp3", "audio/mpeg", True), ("\ufffd.wav", "audio/mpeg", True), ("", "", True)]


def test_one_value_is_replaced_and_nothing_else() -> None:
    form = read_form(MEDIA, BODY)
    assert form.with_value("model", b"gpt-4o-transcribe") == BODY.replace(b"whisper", b"gpt-4o-transcribe")
    added = form.with_value("language", b"de")
    assert added.endswith(BODY)
    assert [one.name for one in read_form(MEDIA, added).parts] == ["language", "model", "prompt", "file", "empty"]


@pytest.mark.parametrize("value", [b"\r\n--B-1", b"--B-1", b"a\r\n--B-1--\r\n"])
def test_a_value_with_the_boundary_in_it_is_refused(value: bytes) -> None:
    with pytest.raises(MultipartError, match="boundary"):
        read_form(MEDIA, BODY).with_value("model", value)


@pytest.mark.parametrize(
    "media",
    [
        b'Multipart/Form-Data; charset=utf-8; Boundary="B-1"',
        b"multipart/form-data ;boundary=B-1",
        b'multipart/form-data; boundary="B-1"',
    ],
)
def test_content_types(media: bytes) -> None:
    assert read_form(media, BODY).content_type == MEDIA


def test_a_boundary_that_must_be_quoted_is() -> None:
    media = b'multipart/form-data; boundary="a=b/c"'
    assert read_form(media, BODY.replace(b"B-1", b"a=b/c")).content_type == media


@pytest.mark.parametrize(
    "media",
    [
        b"",
        b"application/json",
        b"multipart/mixed; boundary=B-1",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=B-1; boundary=B-2",
        b'multipart/form-data; x="; boundary=B-2"; boundary=B-1',
        b"multipart/form-data; boundary=" + b"B" * 71,
        b'multipart/form-data; boundary="B 1"',
    ],
)
def test_content_types_that_are_refused(media: bytes) -> None:
    assert "content type" in refused(BODY, media)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        END,
        b"preamble\r\n" + BODY,
        b"\r\n" + BODY,
        BODY + b"epilogue",
        BODY.removesuffix(END),
        BODY.removesuffix(END) + b"--B-1",
        BODY.removesuffix(END) + b"--B-1 \r\n",
        BODY.replace(b"\r\n", b"\n"),
        field(b"a", b"\r\n--B-1x") + END,
        b"--B-1\r\n\r\nno head\r\n" + END,
        b"--B-1\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END,
        part(b'; name="a"', more=b'Content-Disposition: form-data; name="b"\r\n') + END,
        part(b'; name="a"', more=b" folded\r\n") + END,
        part(b'; name="a"', more=b"Content-Transfer-Encoding: base64\r\n") + END,
        part(b'; name="a"', more=b"X-A: 1\rX-B: 2\r\n") + END,
        part(b'; name="a"', more=b"X-A : 1\r\n") + END,
        part(b"") + END,
        part(b'; name=""') + END,
        part(b'; filename="a"') + END,
        part(b'; name="a"; name="b"') + END,
        part(b"; name=\"a\"; name*=utf-8''b") + END,
        part(b'; name="a\\"; x="b"') + END,
        part(b'; name="a\\b"') + END,
        part(b'; name="file"; filename="x\\"; name=\\"model"') + END,
        part(b'; name="a\xff"') + END,
        part(b'; name="a" junk') + END,
        part(b'; name="a\0"') + END,
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(body: bytes) -> None:
    assert refused(body)


def test_bounds() -> None:
    assert len(read_form(MEDIA, field(b"a") * MAX_PARTS + END).parts) == MAX_PARTS
    assert "parts" in refused(field(b"a") * (MAX_PARTS + 1) + END)
    assert "larger" in refused(field(b"a", b"x" * (MAX_VALUE_BYTES + 1)) + END)
    assert read_form(MEDIA, part(b'; name="f"; filename="f"', b"x" * (MAX_VALUE_BYTES + 1)) + END)
    assert "head" in refused(part(b'; name="a"', more=b"X-A: " + b"x" * MAX_HEAD_BYTES + b"\r\n") + END)


NAMES = st.from_regex(r"[a-z_]{1,9}(\[\])?", fullmatch=True)


def built(parts: list[tuple[str, bool, bytes]]) -> bytes:
    written = (
        part(b'; name="%b"%b' % (name.encode(), b'; filename="f"' if is_file else b""), content)
        for name, is_file, content in parts
    )
    return b"".join(written) + END


@given(st.lists(st.tuples(NAMES, st.booleans(), st.binary(max_size=40)), min_size=1, max_size=5), st.binary(max_size=9))
def test_what_is_written_is_read_the_same_here_and_by_another_parser(
    parts: list[tuple[str, bool, bytes]], value: bytes
) -> None:
    body = built(parts)
    form = read_form(MEDIA, body)
    assert [(one.name, one.is_file, form.value(one)) for one in form.parts] == parts
    other = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + MEDIA + b"\r\n\r\n" + body)
    names = [one.get_param("name", header="content-disposition") for one in other.iter_parts()]
    assert names == [name for name, _, _ in parts]
    again = read_form(MEDIA, form.with_value(parts[0][0], value))
    assert [again.value(one) for one in again.parts] == [value] + [content for _, _, content in parts[1:]]


_PIECES = (
    b"--B-1",
    b"\r\n",
    b"--",
    b"Content-Disposition: form-data",
    b'; name="a"',
    b"x",
    b"\n",
    b'; filename="b"',
    b":",
    b'"',
)


@given(st.lists(st.sampled_from(_PIECES), max_size=30).map(b"".join))
def test_odd_bodies_are_read_or_refused(body: bytes) -> None:
    for sent in (body, field(b"a") + body, field(b"a") + body + b"\r\n" + END):
        try:
            form = read_form(MEDIA, sent)
        except MultipartError:
            continue
        assert all(b"\r\n--B-1" not in form.value(one) for one in form.parts)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_odd_bytes_are_read_or_refused(media: bytes, body: bytes) -> None:
    for kind in (media, MEDIA, b"multipart/form-data; " + media):
        try:
            read_form(kind, b"--B-1\r\n" + body)
        except MultipartError:
            continue
