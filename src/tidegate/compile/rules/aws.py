"""Providers that take an AWS access key, and those that do not."""

from collections.abc import Iterator

from tidegate.compile.rules.rule import Hit, Subject
from tidegate.config.provider import Credential
from tidegate.dialects.dialect import SigningDialect
from tidegate.dialects.registry import DIALECTS


def access_key_unused(subject: Subject) -> Iterator[Hit]:
    """A credential signs with an AWS access key, but the dialect signs no requests."""
    for provider in subject.resources.providers:
        if isinstance(DIALECTS[provider.spec.dialect], SigningDialect):
            continue
        for index, credential in enumerate(provider.spec.credentials):
            field = _signs_by(credential)
            if field is not None:
                message = f"the dialect `{provider.spec.dialect}` signs no requests"
                hint = "Write an `apiKey`, or `dialect: bedrock`."
                yield Hit(provider, ("spec", "credentials", index, field), message, hint)


def access_key_without_region(subject: Subject) -> Iterator[Hit]:
    """A credential signs with an AWS access key, but the Provider has no `region` to sign for."""
    for provider in subject.resources.providers:
        for index, credential in enumerate(provider.spec.credentials):
            field = _signs_by(credential)
            if field is not None and provider.spec.region is None:
                path = ("spec", "credentials", index, field)
                yield Hit(provider, path, "a signature names the region", "Add `region`, such as `eu-central-1`.")


def _signs_by(credential: Credential) -> str | None:
    """The field."""
    if credential.access_key_id is not None:
        return "accessKeyId"
    return "awsChain" if credential.aws_chain else None
