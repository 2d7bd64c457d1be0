"""Speech from OpenAI's audio endpoints: what a request may say here.

Source: `openai.types.audio` of the official SDK. `/audio/speech` reports no usage.
"""

import msgspec
from msgspec import Raw

from tidegate.dialects.fields import bad_field, unsupported_field


def check_speech(fields: dict[str, Raw]) -> None:
    """Raises UnreadableRequest for what cannot be served."""
    raw = bytes(fields.get("stream_format", b"null"))
    try:
        form = msgspec.json.decode(raw, type=str | None)
    except msgspec.DecodeError as error:
        raise bad_field("`stream_format` must be a string.", "stream_format") from error
    if form not in (None, "audio"):
        raise unsupported_field("stream_format", "Speech comes as plain audio here: leave `stream_format` out.")
