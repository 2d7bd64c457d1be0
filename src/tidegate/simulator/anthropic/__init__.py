"""Anthropic's Messages API as the provider speaks it. Shapes: the official `anthropic` SDK's types."""
