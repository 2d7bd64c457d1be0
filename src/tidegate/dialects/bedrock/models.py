"""What the families of models behind Bedrock take, by their ids (`us.anthropic.claude-sonnet-4-5-20250929-v1:0`).

Source: Bedrock's user guide, "Inference request parameters and response fields for foundation models"; for Claude, the pages
that `anthropic.claude_rules` names.
"""

import re
from typing import Final, NamedTuple

from tidegate.dialects.anthropic.claude_rules import Version, version_of

_NOVA: Final = re.compile(r"(?:^|[./])nova-(\d+)?")


class Family(NamedTuple):
    claude: Version | None = None
    nova: int | None = None
    """Its generation."""
    gpt: bool = False

    @property
    def caches(self) -> bool:
        """Knows cache points."""
        return self.claude is not None or self.nova is not None


def family_of(model: str) -> Family:
    """Of an ARN without the model's name in it nothing is known."""
    name = model.lower()
    if "claude" in name:
        return Family(claude=version_of(name))
    nova = _NOVA.search(name)
    if nova is not None:
        return Family(nova=int(nova[1] or 1))
    return Family(gpt="openai.gpt" in name)
