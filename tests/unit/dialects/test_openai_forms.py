"""Forms read field by field for a dialect that has none."""

import pytest

from tidegate.core.view import PathTells
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.openai.forms import FormFields, SentFile, read_parts

MEDIA = b"multipart/form-data; boundary=B-1"


def fields(*parts: tuple[bytes, bytes]) -> FormFields:
    """(what follows the name, content)."""
    told = [b"--B-1\r\nContent-Disposition: form-data; name=%b\r\n\r\n%b\r\n" % one for one in parts]
    return FormFields(read_parts(PathTells(media=MEDIA), b"".join((*told, b"--B-1--\r\n"))))


def test_texts_numbers_and_lists() -> None:
    form = fields(
        *(
            (b'"prompt"', "Hallö".encode()),
            (b'"temperature"', b" 0.20 "),
            (b'"include[]"', b"a"),
            (b'"stream"', b"TRUE"),
        ),
        *((b'"include[]"', b"b"), (b'"language"', b""), (b'"names"', b"x"), (b'"names"', b"y")),
    )
    assert form.text("prompt") == "Hallö"
    assert form.number("temperature") == 0.2
    assert form.texts("include") == ["a", "b"]
    assert form.texts("names") == ["x", "y"]
    assert form.flag("stream")
    assert (form.text("language"), form.text("absent"), form.number("none"), form.texts("no")) == (None, None, None, [])
    assert not form.flag("background")
    assert form.unread() == []


def test_files() -> None:
    form = fields(
        (b'"image[]"; filename="a.png"\r\ncontent-type: image/png', b"\x89PNG"), (b'"image[]"; filename=""', b"\xff")
    )
    assert form.files("image") == [SentFile(b"\x89PNG", "a.png", "image/png"), SentFile(b"\xff", "", "")]
    assert form.files("mask") == []


def test_what_was_not_read_is_told() -> None:
    form = fields(
        (b'"model"', b"m"), (b'"of_tomorrow[]"', b"1"), (b'"of_tomorrow[]"', b"2"), (b'"options[deep]"', b"3")
    )
    form.text("model")
    assert form.unread() == ["of_tomorrow", "options"]


@pytest.mark.parametrize("value", [b"", b"nan", b"inf", b"1e999", b"warm", b"1_0", b"1" * 400, b"."])
def test_what_is_no_number(value: bytes) -> None:
    form = fields((b'"temperature"', value))
    if not value:
        assert form.number("temperature") is None
        return
    with pytest.raises(UnreadableRequest) as refused:
        form.number("temperature")
    assert refused.value.problem.field == "temperature"


def test_what_cannot_be_read() -> None:
    for form, read in (
        (fields((b'"prompt"', b"\xff")), "text"),
        (fields((b'"prompt"; filename="a"', b"x")), "text"),
        (fields((b'"prompt"', b"a"), (b'"prompt"', b"b")), "text"),
        (fields((b'"prompt[]"', b"\xff")), "texts"),
        (fields((b'"prompt"', b"x")), "files"),
        (fields((b'"prompt"', b"maybe")), "flag"),
    ):
        with pytest.raises(UnreadableRequest) as refused:
            getattr(form, read)("prompt")
        assert (refused.value.problem.code, refused.value.problem.field) == ("invalid_request", "prompt")
