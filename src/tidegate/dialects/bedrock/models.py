"""What the families of models behind Bedrock take, by their ids (`us.anthropic.claude-sonnet-4-5-20250929-v1:0`).

Source: Bedrock's user guide, "Inference request parameters and response fields for foundation models"; Anthropic's pages on
extended and adaptive thinking.
"""

import re
from typing import Final, NamedTuple

_CLAUDE: Final = re.compile(r"claude-(?:(?:[a-z]+-)?(\d+)(?:-(\d{1,2}))?(?!\d))?")
_NOVA: Final = re.compile(r"(?:^|[./])nova-(\d+)?")


class Family(NamedTuple):
    claude: tuple[int, int] | None = None
    """Its version; of a name without one, later than any."""
    nova: int | None = None
    """Its generation."""
    gpt: bool = False

    @property
    def caches(self) -> bool:
        """Knows cache points."""
        return self.claude is not None or self.nova is not None

    @property
    def thinks(self) -> bool:
        return self.claude is not None and self.claude >= (3, 7)

    @property
    def adapts(self) -> bool:
        """Takes adaptive thinking and an effort."""
        return self.claude is not None and self.claude >= (4, 6)

    @property
    def keeps_system(self) -> bool:
        """Takes system messages between the others."""
        return self.claude is not None and self.claude > (4, 7)

    @property
    def takes_budget(self) -> bool:
        """Takes a number of tokens to think with."""
        return self.claude is not None and (3, 7) <= self.claude < (4, 7)


def family_of(model: str) -> Family:
    """Of an ARN without the model's name in it nothing is known."""
    name = model.lower()
    claude = _CLAUDE.search(name)
    if claude is not None:
        return Family(claude=(int(claude[1] or 99), int(claude[2] or 0)))
    nova = _NOVA.search(name)
    if nova is not None:
        return Family(nova=int(nova[1] or 1))
    return Family(gpt="openai.gpt" in name)
