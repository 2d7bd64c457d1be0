"""What a dialect is to the simulator: a module `<dialect>/surface.py` with these names, and a line in `surfaces.py`."""

import random
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.fields import Fields
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.template import Reply
from tidegate.wire.message import Request


class Need(Struct, frozen=True):
    kind: Literal["response", "item", "call", "seal", "file", "conversation", "vector_store", "container"]
    name: str


class Keeping(Struct, frozen=True):
    """What is kept of an answer for later calls."""

    stored: bool
    """It may be asked for again and gone on from; else only what it sealed is known."""
    asked: list[dict[str, Any]]
    """The items that it answers."""
    background: bool
    whole: Callable[[Any], Reply]
    """Takes a Setting: the whole answer, however it was sent."""
    stream: Callable[[Any], Reply]


class Order(Struct):
    """A request that was read: what its answer is made of."""

    prompt: bytes
    """What the provider's cache may know; empty: nothing of it."""
    prompt_tokens: int
    """Of `prompt`."""
    limit_tokens: int
    """What its provider counts against a token limit before it has answered."""
    stream: bool
    build: Callable[[Any], Reply]
    """Takes a Setting."""
    needs: tuple[Need, ...] = ()
    """What it names that an earlier call with the same credential must have left."""
    keeps: Keeping | None = None


class Route(Struct, frozen=True):
    """What a request asks for. A dialect may add to it."""

    operation: str
    """`models` and `model` are answered from the profile alone, everything else by a model."""
    name: str = ""
    """Of a model, if the path says it."""


class Moment(NamedTuple):
    """Now."""

    monotonic: float
    """The clock of limits, in seconds."""
    seconds: int
    """The date, in seconds since 1970."""


class Refusal(NamedTuple):
    """What goes with an error answer."""

    ids: random.Random
    """For the request's id."""
    wait: float | None = None
    """Seconds after which to come back, if that is told."""
    rates: bytes = b""
    """Encoded headers of what is left of the limits."""


class Surface(Protocol):
    """One dialect. All functions are pure but for the `random.Random` that they draw from; all may raise Rejection."""

    @property
    def PATHS(self) -> frozenset[bytes]:
        """Paths that are this dialect's whatever else the request says."""
        ...

    @property
    def VARIES(self) -> bytes | None:
        """A header on which answers depend beside target and body."""
        ...

    def claims(self, request: Request) -> bool:
        """A request to any other path is for this dialect."""
        ...

    def find_route(self, request: Request) -> Any:
        """→ a Route. Rejects unknown paths (404), known ones with another method (405), and bad headers."""
        ...

    def read_key(self, request: Request, route: Any) -> str:
        """The credential; "" if there is none."""
        ...

    def no_key(self, route: Any) -> Rejection | None:
        """A call without a credential, where the profile requires one; None if this dialect knows no credentials."""
        ...

    def read_body(self, request: Request) -> Fields:
        """The top level of the body."""
        ...

    def read_model(self, fields: Any, route: Any) -> str:
        """The model's name as it was asked for."""
        ...

    def unknown_model(self, name: str, route: Any) -> Rejection:
        """It is not in the profile."""
        ...

    def read_steering(self, fields: Any) -> str:
        """What the body says to the simulator alone."""
        ...

    def take_order(self, fields: Any, route: Any, name: str, behaviour: Behaviour) -> Order:
        """The rest of the body, as strictly as the provider reads it."""
        ...

    def fixed_headers(self, name: str, route: Any) -> list[tuple[bytes, bytes]]:
        """What is the same in every answer of a model."""
        ...

    def call_headers(self, ids: random.Random, route: Any) -> bytes:
        """Encoded headers that name this one call."""
        ...

    def rate_headers(self, state: ModelState, behaviour: Behaviour, moment: Moment, route: Any) -> bytes:
        """Encoded headers of what is left of the limits."""
        ...

    def model_list(self, models: Mapping[str, Behaviour], route: Any) -> bytes:
        """The body that lists the models."""
        ...

    def model_body(self, name: str, behaviour: Behaviour, route: Any) -> bytes:
        """The body that describes one model."""
        ...

    def refuse(self, rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
        """(encoded headers, body) of an error answer."""
        ...

    def error_body(self, rejection: Rejection, request: Request | None) -> bytes:
        """Of an error that is found before there is a call."""
        ...
