"""`/_sim/…`: what a simulator saw, and changes to it at run time. For tests and benchmarks; open to whoever reaches it.

- `GET /_sim/calls?model=&limit=`: the latest calls, oldest first; `GET /_sim/counters`: numbers by model
- `GET /_sim/models`, `GET | PUT | PATCH | DELETE /_sim/models/{model}`: behaviours, in a profile's words
- `PUT /_sim/batches`: how long batches take and how they end, `{"seconds": 5, "ending": "expired"}`
- `POST /_sim/reset`: back to the profile
"""

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

import msgspec

from tidegate.simulator.behaviour import BadProfile, behaviour_fields, behaviour_from
from tidegate.wire.message import Request

if TYPE_CHECKING:
    from tidegate.simulator.app import Simulator

PREFIX: Final = b"/_sim/"
_HEADERS: Final = b"content-type: application/json\r\n"
_MODELS: Final = "models/"


class Control:
    """Answers for one simulator."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator

    def answer(self, request: Request) -> tuple[int, bytes, bytes]:
        """(status, headers, body)."""
        path = request.path[len(PREFIX) :].decode("latin-1")
        method = request.method.decode("latin-1")
        try:
            status, found = self._dispatch(method, path, request)
        except (BadProfile, msgspec.DecodeError, ValueError) as error:
            status, found = 400, {"error": str(error)}
        return status, _HEADERS, msgspec.json.encode(found) + b"\n"

    def _dispatch(self, method: str, path: str, request: Request) -> tuple[int, Any]:
        simulator = self._simulator
        if path.startswith(_MODELS):
            return self._model(method, unquote(path[len(_MODELS) :]), request.body)
        match method, path:
            case "GET", "calls":
                return 200, self._calls(request.query.decode("latin-1"))
            case "GET", "counters":
                return 200, {"total": simulator.calls.total, "models": simulator.calls.counters()}
            case "GET", "models":
                return 200, {name: behaviour_fields(model) for name, model in simulator.models.items()}
            case "PUT", "batches":
                return 200, simulator.kept.set(msgspec.json.decode(request.body, type=dict[str, object]))
            case "POST", "reset":
                simulator.reset()
                return 200, {"reset": True}
        return 404, {"error": f"{method} {request.path.decode('latin-1')} is not served", "see": __doc__}

    def _calls(self, query: str) -> dict[str, Any]:
        asked = parse_qs(query)
        model = asked["model"][0] if "model" in asked else None
        limit = int(asked["limit"][0]) if "limit" in asked else 100
        calls = self._simulator.calls.recent(model, limit)
        return {"total": self._simulator.calls.total, "calls": [call.as_json() for call in calls]}

    def _model(self, method: str, name: str, body: bytes) -> tuple[int, Any]:
        simulator = self._simulator
        present = simulator.models.get(name)
        if method == "PUT":
            simulator.set_model(name, behaviour_from(name, msgspec.json.decode(body, type=dict[str, Any])))
        elif present is None:
            return 404, {"error": f"no model {name!r}"}
        elif method == "PATCH":
            simulator.set_model(name, behaviour_from(name, msgspec.json.decode(body, type=dict[str, Any]), present))
        elif method == "DELETE":
            simulator.set_model(name, None)
            return 200, {"deleted": name}
        elif method != "GET":
            return 405, {"error": f"{method} is not served here"}
        return 200, behaviour_fields(simulator.models[name])
