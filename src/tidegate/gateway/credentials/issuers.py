"""Who issues the proofs of a credential, where its secret is but a way to one."""

import asyncio
from collections.abc import Callable

from tidegate.config.secret import SecretMissing
from tidegate.config.service_account import ServiceAccount
from tidegate.core.clock import Clock
from tidegate.dialects.dialect import AccessKey, Signer
from tidegate.gateway.credentials.aws_chain import EXTRA_MISSING as BOTOCORE_MISSING
from tidegate.gateway.credentials.aws_chain import BotocoreMissing, ChainIssuer, KeyChain
from tidegate.gateway.credentials.granted import GrantIssuer
from tidegate.gateway.credentials.grants import Grant, MetadataGrant, ServiceAccountGrant
from tidegate.gateway.credentials.proof import Issuer
from tidegate.gateway.credentials.secrets import AwsChain, MetadataServer, Secret
from tidegate.wire.client import Resolver
from tidegate.wire.jwt import EXTRA_MISSING as CRYPTOGRAPHY_MISSING
from tidegate.wire.jwt import CryptographyMissing, KeyUnusable

SignerOf = Callable[[AccessKey], Signer]


def issuer_of(
    name: str,
    secret: Secret,
    signing: tuple[str, SignerOf] | None,
    *,
    loop: asyncio.AbstractEventLoop,
    resolver: Resolver,
    clock: Clock,
) -> Issuer | None:
    """None where the secret itself is shown, or signs. `signing`: the region and the signer, where requests are signed.

    Raises SecretMissing where the secret cannot be used.
    """
    if isinstance(secret, AwsChain):
        return None if signing is None else ChainIssuer(_chain(name, signing[0]), signing[1], loop=loop, clock=clock)
    if isinstance(secret, MetadataServer | ServiceAccount):
        return GrantIssuer(_grant(name, secret), loop=loop, resolver=resolver, clock=clock)
    return None


def _chain(name: str, region: str) -> KeyChain:
    try:
        return KeyChain(region)
    except BotocoreMissing as error:
        raise SecretMissing(f"{name}: {BOTOCORE_MISSING}: install `tidegate[bedrock]`", "Install it.") from error


def _grant(name: str, secret: MetadataServer | ServiceAccount) -> Grant:
    if isinstance(secret, MetadataServer):
        return MetadataGrant()
    try:
        return ServiceAccountGrant(secret)
    except KeyUnusable as error:
        hint = "Make a key for the service account in Google Cloud, and give its whole JSON."
        raise SecretMissing(f"{name}: `private_key` of the service account: {error}", hint) from error
    except CryptographyMissing as error:
        raise SecretMissing(f"{name}: {CRYPTOGRAPHY_MISSING}: install `tidegate[vertex]`", "Install it.") from error
