"""The dialects that the simulator speaks, and whose a request is."""

from typing import Final

from tidegate.simulator.anthropic import surface as anthropic
from tidegate.simulator.bedrock import surface as bedrock
from tidegate.simulator.cohere import surface as cohere
from tidegate.simulator.gemini import surface as gemini
from tidegate.simulator.jina import surface as jina
from tidegate.simulator.mistral import surface as mistral
from tidegate.simulator.oip import surface as oip
from tidegate.simulator.ollama import surface as ollama
from tidegate.simulator.openai import surface as openai
from tidegate.simulator.surface import Surface
from tidegate.simulator.tfserving import surface as tfserving
from tidegate.simulator.torchserve import surface as torchserve
from tidegate.simulator.vertex import surface as vertex
from tidegate.wire.message import Request

SURFACES: Final[tuple[Surface, ...]] = (
    vertex,
    tfserving,
    anthropic,
    bedrock,
    cohere,
    gemini,
    jina,
    mistral,
    ollama,
    oip,
    torchserve,
    openai,
)
"""The last one takes what no other claims."""

_BY_PATH: Final[dict[bytes, Surface]] = {path: surface for surface in SURFACES for path in surface.PATHS}


def find_surface(request: Request | None) -> Surface:
    """The dialect of a request; the last one's if the request could not be read."""
    if request is None:
        return SURFACES[-1]
    found = _BY_PATH.get(request.path)
    if found is not None:
        return found
    return next((surface for surface in SURFACES if surface.claims(request)), SURFACES[-1])
