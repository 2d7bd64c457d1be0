"""What every splitter of a stream into frames may raise."""


class FrameError(Exception):
    """What came cannot be a frame, or is larger than the bound."""
