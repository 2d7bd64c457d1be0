"""Invented log probabilities of tokens."""

import math
from typing import Any


def token_logprob(token: str, top: int) -> dict[str, Any]:
    """Of a token, and of others that might have come instead."""
    chosen = {"token": token, "logprob": _likelihood(len(token)), "bytes": list(token.encode())}
    others = [
        {"token": alternative, "logprob": _likelihood(len(token) + rank), "bytes": list(alternative.encode())}
        for rank, alternative in enumerate((" the", " a", " it", " of", ".") * 4, 1)
    ]
    return {**chosen, "top_logprobs": [chosen, *others][:top]}


def _likelihood(rank: int) -> float:
    return round(-math.log1p(rank) / 3, 6)
