"""Values from outside the files: `{env: NAME}` and `{file: PATH}`."""

from collections.abc import Mapping
from pathlib import Path

from tidegate.core.snapshot import SecretRef


class SecretMissing(Exception):
    """A value that the configuration refers to is not there. Names the reference, never a value."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def read_secret(secret: SecretRef, env: Mapping[str, str]) -> str:
    """The value, without the white space around a file's content. Raises SecretMissing; an empty value is missing."""
    if secret.value is not None:
        return secret.value
    if secret.env is not None:
        value = env.get(secret.env, "")
        if not value:
            raise SecretMissing(f"the environment variable {secret.env} is not set", f"Set {secret.env} and try again.")
        return value
    path = Path(secret.file or "")
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SecretMissing(f"the file {path} cannot be read: {reason}", "Mend the path or its permissions.") from error
    if not value:
        raise SecretMissing(f"the file {path} is empty", "Write the value into it.")
    return value
