"""Images and audio: which of their paths is which operation, and what an order for one is."""

from functools import partial
from typing import Final, Literal

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.images import image_reply, read_images
from tidegate.simulator.openai.recordings import read_recording, recording_reply
from tidegate.simulator.openai.rejection import Rejection
from tidegate.simulator.openai.speech import read_speech, speech_reply
from tidegate.simulator.surface import Order

MediaOperation = Literal["image", "image_edit", "image_variation", "speech", "transcription", "translation"]

MEDIA_PATHS: Final[dict[bytes, MediaOperation]] = {
    b"/images/generations": "image",
    b"/images/edits": "image_edit",
    b"/images/variations": "image_variation",
    b"/audio/speech": "speech",
    b"/audio/transcriptions": "transcription",
    b"/audio/translations": "translation",
}
MEDIA: Final = frozenset(MEDIA_PATHS.values())
FORM_PATHS: Final = (b"/images/edits", b"/images/variations", b"/audio/transcriptions", b"/audio/translations")
"""Endings of paths that take a form."""


def take_media(fields: Fields, operation: MediaOperation, name: str, behaviour: Behaviour) -> Order:
    """Reads the body of an operation. Its `build` takes an OpenAI Setting. Raises Rejection."""
    if operation == "speech":
        _check_task(behaviour, "speech", name)
        speech = read_speech(fields, behaviour.strict, behaviour.legacy)
        return _order(speech.prompt_tokens, speech.stream, partial(speech_reply, speech))
    if operation in ("transcription", "translation"):
        _check_task(behaviour, "transcription", name)
        heard = read_recording(fields, operation, behaviour)
        return _order(heard.prompt_tokens, heard.stream, partial(recording_reply, heard, behaviour))
    _check_task(behaviour, "image", name)
    images = read_images(fields, operation, behaviour.strict)
    return _order(images.prompt_tokens, images.stream, partial(image_reply, images))


def _order(tokens: int, stream: bool, build: "partial[object]") -> Order:
    return Order(b"", tokens, tokens, stream, build)  # pyright: ignore[reportArgumentType] - a Reply, of either kind


def _check_task(behaviour: Behaviour, task: str, name: str) -> None:
    if behaviour.task != task:
        text = f"Invalid value: '{name}'. This model does not serve {task}."
        raise Rejection(400, text, param="model", code="invalid_value")
