"""Imagen on Vertex AI: the Gemini API's bodies below a project."""

from tidegate.core.view import Operation
from tidegate.dialects.dialect import ChatCodec
from tidegate.dialects.gemini.imagen import FAMILY, PREDICT, ImagenPainting
from tidegate.dialects.painting import PaintingUpstream
from tidegate.dialects.vertex.dialect import VERSION, Vertex
from tidegate.dialects.vertex.names import endpoint


class VertexImagen(Vertex):
    """On the provider's side alone. Stateless."""

    name: str = "vertex-imagen"
    family: str = FAMILY
    chat: ChatCodec | None = None
    painter: PaintingUpstream = ImagenPainting()
    matches_paths: bool = False

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        return endpoint(base_path, VERSION, model, PREDICT)
