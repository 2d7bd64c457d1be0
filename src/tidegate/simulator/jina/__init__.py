"""Reranking at `/v1/rerank`: as Jina has it, and, for models that are `ownedBy: voyageai`, as Voyage has it.

Shapes: https://api.jina.ai/redoc, https://docs.voyageai.com/reference/reranker-api.
"""
