"""The resources that people write: each kind once, read from YAML with exact messages, and their JSON Schema.

Owns syntax and the shape of single resources. What they mean together is `tidegate.compile`'s business.
"""

from tidegate.config.environment import from_environment
from tidegate.config.finding import ConfigErrors, Finding
from tidegate.config.loader import fingerprint, load
from tidegate.config.resources import Resources
from tidegate.config.schema import json_schema

__all__ = ["ConfigErrors", "Finding", "Resources", "fingerprint", "from_environment", "json_schema", "load"]
