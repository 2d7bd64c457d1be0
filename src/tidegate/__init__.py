"""Tidegate: an AI API gateway and AI API management platform."""

__version__ = "0.1.0"
