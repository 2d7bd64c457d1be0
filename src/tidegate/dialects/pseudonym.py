"""What providers are told of an end user."""

from hashlib import sha256


def pseudonym(user: str) -> str:
    """Stable, and nothing of what the client wrote: it may be an e-mail address."""
    return sha256(user.encode()).hexdigest()[:32]
