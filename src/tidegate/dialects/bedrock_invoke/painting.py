"""Image models behind InvokeModel, for clients of OpenAI's images: on the provider's side alone."""

from typing import Final

from tidegate.core.view import Operation
from tidegate.dialects.bedrock.dialect import Bedrock, model_path
from tidegate.dialects.bedrock_invoke.canvas import CanvasPainting
from tidegate.dialects.bedrock_invoke.stability import StabilityPainting
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import ChatCodec
from tidegate.dialects.painting import PaintingUpstream, moderated
from tidegate.wire.message import Headers

_BLOCKED: Final = "blocked by our content filters"
"""In the message of a ValidationException, where a prompt is refused for what it says."""


class BedrockPainter(Bedrock):
    """What they share. Stateless."""

    chat: ChatCodec | None = None
    matches_paths: bool = False
    telling_headers: tuple[bytes, ...] = ()
    painter: PaintingUpstream

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        return base_path + model_path(model, "invoke")

    def read_fault_headers(self, status: int, headers: Headers, body: bytes) -> Fault:
        told = super().read_fault_headers(status, headers, body)
        return moderated(told.message) if _BLOCKED in told.message else told


class BedrockCanvas(BedrockPainter):
    name: str = "bedrock-canvas"
    family: str = "bedrock-canvas"
    painter: PaintingUpstream = CanvasPainting()


class BedrockStability(BedrockPainter):
    name: str = "bedrock-stability"
    family: str = "bedrock-stability"
    painter: PaintingUpstream = StabilityPainting()
