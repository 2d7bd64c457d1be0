"""Image models behind InvokeModel, for clients of OpenAI's images: on the provider's side alone."""

from tidegate.core.view import Operation
from tidegate.dialects.bedrock.dialect import Bedrock, model_path
from tidegate.dialects.bedrock_invoke.canvas import CanvasPainting
from tidegate.dialects.bedrock_invoke.stability import StabilityPainting
from tidegate.dialects.dialect import ChatCodec
from tidegate.dialects.painting import PaintingUpstream


class BedrockPainter(Bedrock):
    """What they share. Stateless.

    A prompt that is refused for what it says is a ValidationException as any other: words alone tell it from a wrong size.
    """

    chat: ChatCodec | None = None
    matches_paths: bool = False
    telling_headers: tuple[bytes, ...] = ()
    painter: PaintingUpstream

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        return base_path + model_path(model, "invoke")


class BedrockCanvas(BedrockPainter):
    name: str = "bedrock-canvas"
    family: str = "bedrock-canvas"
    painter: PaintingUpstream = CanvasPainting()


class BedrockStability(BedrockPainter):
    name: str = "bedrock-stability"
    family: str = "bedrock-stability"
    painter: PaintingUpstream = StabilityPainting()
