"""Version 2 of Cohere's API as the provider speaks it: chat, embed, rerank. Shapes: the SDK `cohere`'s types."""
