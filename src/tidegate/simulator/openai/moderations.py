"""Moderations: words decide, so that a test knows beforehand what is flagged."""

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import generator
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.openai.fields import Fields, as_fields
from tidegate.simulator.openai.rejection import Rejection, missing, wrong_type, wrong_value
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.template import Template

_KNOWN: Final = frozenset({"input", "model"})
_CATEGORIES: Final[dict[str, str]] = {
    "harassment": "idiot|stupid",
    "harassment/threatening": "threaten",
    "hate": "hate",
    "hate/threatening": "exterminate",
    "illicit": "shoplift|counterfeit",
    "illicit/violent": "bomb",
    "self-harm": "suicide",
    "self-harm/intent": "hurt myself",
    "self-harm/instructions": "how to hurt myself",
    "sexual": "porn",
    "sexual/minors": "csam",
    "violence": "kill|murder|bomb",
    "violence/graphic": "gore",
}
_WITH_IMAGES: Final = frozenset(
    {"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic"}
)


class ModerationRequest(Struct, kw_only=True):
    texts: list[str]
    """One result for each."""
    images: bool
    prompt_tokens: int


def read_moderation(fields: Fields, strict: bool) -> ModerationRequest:
    """Raises Rejection."""
    if strict:
        fields.only(_KNOWN)
    value = fields.get("input")
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise wrong_type("input", "a string or an array", value)
    if not value:
        raise Rejection(400, "Invalid 'input': empty array.", param="input", code="empty_array")
    if all(isinstance(item, str) for item in value):
        texts, images = [str(item) for item in value], False
    else:
        texts, images = _read_parts(value)
    return ModerationRequest(
        texts=texts, images=images, prompt_tokens=sum(estimate_tokens(text.encode()) for text in texts)
    )


def _read_parts(value: list[Any]) -> tuple[list[str], bool]:
    """Parts of one input: texts and images."""
    texts: list[str] = []
    for index, item in enumerate(value):
        part = as_fields(item, f"input[{index}]")
        kind = part.needed_text("type")
        if kind == "text":
            texts.append(part.needed_text("text"))
        elif kind == "image_url":
            part.needed_inner("image_url").needed_text("url")
        else:
            raise wrong_value(part.path("type"), kind, ("text", "image_url"))
    return [" ".join(texts)], len(texts) < len(value)


def moderation_template(request: ModerationRequest, _: Behaviour, setting: Setting) -> Template:
    """The answer, ready to be sent. Moderations report no usage."""
    fields = {"model": setting.model, "results": [_result(text, request.images, setting) for text in request.texts]}
    template = Template(
        model=setting.model,
        opening=b'{"id":"modr-',
        middle=b'",' + msgspec.json.encode(fields)[1:],
        tails=[b""],
        dated=False,
    )
    template.prompt_tokens = request.prompt_tokens
    return template


def _result(text: str, images: bool, setting: Setting) -> dict[str, Any]:
    rng = generator(setting.seed, "moderation", text)
    found = {name: re.search(rf"\b(?:{words})", text.lower()) is not None for name, words in _CATEGORIES.items()}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {
            name: round(rng.uniform(0.8, 0.99) if flagged else rng.uniform(1e-6, 1e-3), 9)
            for name, flagged in found.items()
        },
        "category_applied_input_types": {
            name: ["text", *(["image"] if images and name in _WITH_IMAGES else [])] for name in found
        },
    }
