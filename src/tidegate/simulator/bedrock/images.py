"""InvokeModel of image models: Amazon's Nova Canvas and Titan Image Generator, and Stability's, from text alone.

Source: Nova's user guide, "Request and response structure for image generation"; Bedrock's, "Amazon Titan Image Generator G1
models" and "Stability AI models".
"""

from base64 import b64encode
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.bedrock.fields import Fields, invalid
from tidegate.simulator.bedrock.invoke import FLAWS
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import generator
from tidegate.simulator.media import picture
from tidegate.simulator.setting import Setting
from tidegate.simulator.surface import Order
from tidegate.simulator.template import Mould

_TASKS: Final = tuple(
    "TEXT_IMAGE COLOR_GUIDED_GENERATION IMAGE_VARIATION INPAINTING OUTPAINTING BACKGROUND_REMOVAL".split()
)
_CANVAS_CHARACTERS: Final = 1_024
_CANVAS_SIDES: Final = (320, 4_096)
_CANVAS_PIXELS: Final = 4_194_304
_CANVAS_SEEDS: Final = 858_993_459
_CANVAS_SEED: Final = 12
_TITAN_CHARACTERS: Final = 512
_TITAN_SEEDS: Final = 2_147_483_646
_TITAN_SEED: Final = 42
_TITAN_SIZES: Final = frozenset(
    """1024x1024 768x768 512x512 768x1152 384x576 1152x768 576x384 768x1280 384x640 1280x768 640x384 896x1152 448x576
    1152x896 576x448 768x1408 384x704 1408x768 704x384 640x1408 320x704 1408x640 704x320 1152x640 1173x640""".split()
)
_MOST_IMAGES: Final = 5
_BLOCKED: Final = (
    "This request has been blocked by our content filters. Please adjust your text prompt to submit a new request."
)
_ALL_BLOCKED: Final = "All of the generated images have been blocked by our content filters."
_STABILITY: Final = frozenset("prompt mode aspect_ratio output_format seed negative_prompt".split())
_STABILITY_CHARACTERS: Final = 10_000
_STABILITY_SEEDS: Final = 4_294_967_294
_RATIOS: Final = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")


class Painted(Struct, kw_only=True):
    """What the images depend on."""

    prompt: str
    seed: int
    count: int = 1
    form: str = "png"
    filtered: bool = False


def take_images(fields: Fields, name: str, behaviour: Behaviour) -> Order:
    """As the maker that the model's id names; one without such a name is Amazon's. Raises Rejection."""
    if "stability." in name:
        asked, reply = _read_stability(fields, behaviour), _stability_reply
    else:
        asked, reply = _read_amazon(fields, "titan-image" in name, behaviour), _amazon_reply
    return Order(b"", 0, 0, False, partial(reply, asked))


def _read_amazon(fields: Fields, titan: bool, behaviour: Behaviour) -> Painted:
    fields.only(frozenset({"taskType", "textToImageParams", "imageGenerationConfig"}))
    fields.needed_text("taskType")
    if fields.choice("taskType", _TASKS) != "TEXT_IMAGE":
        raise invalid("taskType: only TEXT_IMAGE is simulated")
    params = fields.needed_inner("textToImageParams")
    params.only(frozenset({"text", "negativeText"} if titan else {"text", "negativeText", "style"}))
    text = _prompt(params, "text", _TITAN_CHARACTERS if titan else _CANVAS_CHARACTERS)
    if behaviour.refusal == "prompt":
        raise invalid(_BLOCKED)
    config = fields.inner("imageGenerationConfig") or Fields({}, "imageGenerationConfig")
    config.only(frozenset({"width", "height", "quality", "cfgScale", "seed", "numberOfImages"}))
    config.choice("quality", ("standard", "premium"))
    config.number("cfgScale", 1.1, 10)
    (_check_titan_size if titan else _check_canvas_size)(config)
    seed = config.whole("seed", 0, _TITAN_SEEDS if titan else _CANVAS_SEEDS)
    usual = _TITAN_SEED if titan else _CANVAS_SEED
    return Painted(
        prompt=text,
        seed=usual if seed is None else seed,
        count=config.whole("numberOfImages", 1, _MOST_IMAGES) or 1,
        filtered=behaviour.refusal == "answer",
    )


def _check_canvas_size(config: Fields) -> None:
    width, height = (config.whole(side, *_CANVAS_SIDES) or 1024 for side in ("width", "height"))
    if width % 16 or height % 16:
        raise invalid(f"{width}x{height}: width and height must be divisible by 16")
    if max(width, height) > 4 * min(width, height) or width * height > _CANVAS_PIXELS:
        raise invalid(f"{width}x{height} is not between 1:4 and 4:1, or has more than {_CANVAS_PIXELS} pixels")


def _check_titan_size(config: Fields) -> None:
    width, height = (config.whole(side, 1) or 1024 for side in ("width", "height"))
    if f"{width}x{height}" not in _TITAN_SIZES:
        raise invalid(f"The width and height {width}x{height} are not supported")


def _read_stability(fields: Fields, behaviour: Behaviour) -> Painted:
    fields.only(_STABILITY)
    fields.choice("mode", ("text-to-image",))
    fields.choice("aspect_ratio", _RATIOS)
    return Painted(
        prompt=_prompt(fields, "prompt", _STABILITY_CHARACTERS),
        seed=fields.whole("seed", 0, _STABILITY_SEEDS) or 0,
        form=fields.choice("output_format", ("png", "jpeg"), "png") or "png",
        filtered=bool(behaviour.refusal),
    )


def _prompt(fields: Fields, name: str, longest: int) -> str:
    text = fields.needed_text(name)
    if not 0 < len(text) <= longest:
        raise invalid(f"{fields.path(name)}: expected from 1 to {longest} characters, not {len(text)}")
    return text


def _amazon_reply(asked: Painted, setting: Setting) -> Mould:
    if asked.filtered:
        return _mould({"images": [], "error": _ALL_BLOCKED}, setting)
    return _mould({"images": _images(asked, setting), "error": None}, setting)


def _stability_reply(asked: Painted, setting: Setting) -> Mould:
    if asked.filtered:
        return _mould({"finish_reasons": ["Filter reason: prompt"]}, setting)
    return _mould({"seeds": [asked.seed], "finish_reasons": [None], "images": _images(asked, setting)}, setting)


def _images(asked: Painted, setting: Setting) -> list[str]:
    rng = generator(setting.seed, setting.model, asked.prompt, asked.seed)
    return [b64encode(picture(rng, asked.form)).decode() for _ in range(asked.count)]


def _mould(told: dict[str, Any], setting: Setting) -> Mould:
    return Mould(model=setting.model, pieces=[msgspec.json.encode(told)], flaws=FLAWS)
