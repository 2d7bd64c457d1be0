"""Amazon Bedrock's Converse and ConverseStream."""

from tidegate.dialects.bedrock.dialect import Bedrock

__all__ = ["Bedrock"]
