"""Which kind of attempt an operation's answers are for."""

from collections.abc import Mapping
from typing import Final

from tidegate.core.view import UNMETERED, Operation, View
from tidegate.gateway.attempts.attempt import StreamAttempt, UnaryAttempt
from tidegate.gateway.attempts.passing import MediaStreamAttempt, PassingAttempt
from tidegate.gateway.attempts.predictions import PredictionAttempt, TensorAttempt
from tidegate.gateway.attempts.verbatim import VerbatimAttempt

AttemptKind = type[StreamAttempt | UnaryAttempt | PassingAttempt]
_WHOLE: Final[Mapping[Operation, AttemptKind]] = {
    **dict.fromkeys(UNMETERED, UnaryAttempt),
    "speech": PassingAttempt,
    "inference": TensorAttempt,
    "prediction": PredictionAttempt,
    "passthrough": VerbatimAttempt,
}
_STREAMED: Final[Mapping[Operation, AttemptKind]] = {
    **dict.fromkeys(UNMETERED, MediaStreamAttempt),
    "passthrough": VerbatimAttempt,
}
"""Of operations that are not read as text is."""


def attempt_kind(view: View, *, native: bool) -> AttemptKind:
    """`native`: the answer is given on as it comes, where its operation allows that."""
    if view.stream:
        return _STREAMED.get(view.operation, StreamAttempt)
    if not native and view.operation in UNMETERED:
        return UnaryAttempt
    return _WHOLE.get(view.operation, UnaryAttempt)
