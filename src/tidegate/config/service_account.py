"""The JSON key of a Google service account, as Google Cloud's console writes it.

Source: https://cloud.google.com/iam/docs/keys-create-delete; `google.oauth2.service_account` of the official library.
"""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

_NEEDED: Final = ("client_email", "private_key", "private_key_id", "token_uri")


class BadServiceAccount(Exception):
    """The text is no service account's key. Names the field, never a value."""


class ServiceAccount(Struct, frozen=True):
    client_email: str
    private_key: str
    private_key_id: str
    token_uri: str


class _Written(Struct):
    type: str = ""
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    token_uri: str = ""


_decode = msgspec.json.Decoder(_Written).decode


def read_service_account(text: str) -> ServiceAccount:
    """Raises BadServiceAccount."""
    try:
        written = _decode(text)
    except msgspec.ValidationError as error:
        raise BadServiceAccount(f"the key is not as Google writes it: {error}") from None
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise BadServiceAccount("the key is not JSON: give the whole content of the file that Google made") from None
    if written.type != "service_account":
        raise BadServiceAccount(
            "`type` of the key is not `service_account`: other kinds of credential are not supported"
        )
    for name in _NEEDED:
        if not getattr(written, name):
            raise BadServiceAccount(f"`{name}` of the key is missing")
    if not _is_private(written.token_uri):
        raise BadServiceAccount("`token_uri` of the key must be an https URL")
    return ServiceAccount(written.client_email, written.private_key, written.private_key_id, written.token_uri)


def _is_private(uri: str) -> bool:
    """What is sent there is worth an access token: TLS, or this very machine."""
    parts = urlsplit(uri)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        return parts.scheme == "http" and ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
