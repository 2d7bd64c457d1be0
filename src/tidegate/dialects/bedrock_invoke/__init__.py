"""Amazon Bedrock's InvokeModel and InvokeModelWithResponseStream: the models' own bodies in an envelope of Bedrock's."""

from tidegate.dialects.bedrock_invoke.claude import BedrockClaude, ClaudeRelay
from tidegate.dialects.bedrock_invoke.embeddings import BedrockCohere, BedrockNova, BedrockTitan
from tidegate.dialects.bedrock_invoke.invoke import BedrockInvoke, invoked_as

__all__ = [
    "BedrockClaude",
    "BedrockCohere",
    "BedrockInvoke",
    "BedrockNova",
    "BedrockTitan",
    "ClaudeRelay",
    "invoked_as",
]
