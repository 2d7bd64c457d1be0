"""`GET /api/tags`: the models that a key may call.

Source: `ListResponse` of the official `ollama` SDK.
"""

from datetime import UTC, datetime

from tidegate.dialects.listing import ListedModel
from tidegate.dialects.ollama.answer import Json


def model_entry(model: ListedModel) -> Json:
    """Nothing of sizes and families is known here."""
    families: list[str] = []
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": datetime.fromtimestamp(model.created, UTC).isoformat(),
        "size": 0,
        "digest": "",
        "details": {
            "format": "",
            "family": "",
            "families": families,
            "parameter_size": "",
            "quantization_level": "",
        },
    }
