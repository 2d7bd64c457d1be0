"""Amazon Bedrock's InvokeModel and InvokeModelWithResponseStream: the models' own bodies in an envelope of Bedrock's."""

from tidegate.dialects.bedrock_invoke.claude import BedrockClaude, ClaudeRelay
from tidegate.dialects.bedrock_invoke.embeddings import BedrockCohere, BedrockNova, BedrockTitan
from tidegate.dialects.bedrock_invoke.invoke import BedrockInvoke, invoked_as
from tidegate.dialects.bedrock_invoke.painting import BedrockCanvas, BedrockStability

__all__ = [
    "BedrockCanvas",
    "BedrockClaude",
    "BedrockCohere",
    "BedrockInvoke",
    "BedrockNova",
    "BedrockStability",
    "BedrockTitan",
    "ClaudeRelay",
    "invoked_as",
]
