"""Rules that find what is wrong between resources, and above all what can never take effect.

One small function per rule, all listed in `table.RULES`. To add one: write it in the module of its subject, list it,
and give it a failing and a clean example in tests/unit/compile.
"""

from tidegate.compile.rules.table import RULES, lint

__all__ = ["RULES", "lint"]
