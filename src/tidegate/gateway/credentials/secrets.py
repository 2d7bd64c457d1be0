"""What a credential of the configuration proves itself with, read from where the configuration says it is."""

import os

from msgspec import Struct

from tidegate.config.secret import SecretMissing, read_secret
from tidegate.config.service_account import BadServiceAccount, ServiceAccount, read_service_account
from tidegate.core.snapshot import CredentialSpec, SecretRef
from tidegate.dialects.dialect import AccessKey


class AccessToken(Struct, frozen=True):
    """An OAuth access token that is never renewed."""

    text: str


class MetadataServer(Struct, frozen=True):
    """Access tokens come from the machine itself."""


class AwsChain(Struct, frozen=True):
    """The access key is the one that AWS's own SDKs would find."""


Secret = str | AccessKey | AccessToken | ServiceAccount | MetadataServer | AwsChain | None
"""A key in a header, a key that signs, a token, ways to a token or a key, nothing."""


def secret_now(secret: SecretRef) -> str:
    """With this process's environment. Raises SecretMissing."""
    return read_secret(secret, os.environ)


def secret_of(credential: CredentialSpec) -> Secret:
    """Raises SecretMissing."""
    if credential.api_key is not None:
        return secret_now(credential.api_key)
    if credential.access_token is not None:
        return AccessToken(secret_now(credential.access_token))
    if credential.service_account is not None:
        try:
            return read_service_account(secret_now(credential.service_account))
        except BadServiceAccount as error:
            hint = "Give the whole JSON of the account's key."
            raise SecretMissing(f"serviceAccount of credential {credential.id}: {error}", hint) from error
    if credential.metadata_server:
        return MetadataServer()
    if credential.aws_chain:
        return AwsChain()
    if credential.access_key_id is None or credential.secret_access_key is None:
        return None
    token = credential.session_token
    return AccessKey(
        secret_now(credential.access_key_id),
        secret_now(credential.secret_access_key),
        "" if token is None else secret_now(token),
    )
