"""Invented embeddings: unit vectors that depend on the text alone."""

import array
import math

from tidegate.simulator.composition import generator
from tidegate.simulator.setting import Setting


def unit_vector(setting: Setting, text: bytes, size: int) -> "array.array[float]":
    """The longest one is drawn first, so that a shorter one points the same way."""
    raw = array.array("h", generator(setting.seed, setting.model, text).randbytes(2 * size))
    length = math.sqrt(sum(number * number for number in raw)) or 1.0
    return array.array("f", (number / length for number in raw))
