"""Invented rankings: documents that share words with the query come first."""

import re

from tidegate.simulator.composition import generator
from tidegate.simulator.setting import Setting


def rank(setting: Setting, query: str, documents: list[str]) -> list[tuple[int, float]]:
    """(index, relevance from 0 to 1) of each document, the best first."""
    asked = _words(query)
    found: list[tuple[int, float]] = []
    for index, document in enumerate(documents):
        shared = len(asked & _words(document)) / max(1, len(asked))
        noise = generator(setting.seed, setting.model, query, document).random()
        found.append((index, round(0.9 * shared + 0.05 * noise, 6)))
    return sorted(found, key=lambda one: (-one[1], one[0]))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
