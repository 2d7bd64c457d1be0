"""Providers and the gateway's own settings."""

from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import ip_network
from typing import Final

from tidegate.compile.rules.rule import Hit, Subject
from tidegate.config.secret import SecretMissing, read_secret

LEAST_ACCESS_SECRET: Final = 32


def credential_weights_all_zero(subject: Subject) -> Iterator[Hit]:
    """Every credential has the weight 0, so none is ever used."""
    for provider in subject.resources.providers:
        credentials = provider.spec.credentials
        if credentials and not any(one.weight for one in credentials):
            yield Hit(provider, ("spec", "credentials"), "every credential has the weight 0", "Give one a weight.")


def duplicate_credential(subject: Subject) -> Iterator[Hit]:
    """Two credentials of one Provider have the same name."""
    for provider in subject.resources.providers:
        seen: set[str] = set()
        for index, credential in enumerate(provider.spec.credentials):
            name = credential.name or str(index)
            if name in seen:
                hint = "Give it another name."
                yield Hit(provider, ("spec", "credentials", index), f"a second credential called `{name}`", hint)
            seen.add(name)


def api_version_unused(subject: Subject) -> Iterator[Hit]:
    """`apiVersion` is set for a dialect that has none."""
    for provider in subject.resources.providers:
        if provider.spec.api_version is not None and provider.spec.dialect != "azure-openai":
            message = f"the dialect `{provider.spec.dialect}` has no API version"
            yield Hit(provider, ("spec", "apiVersion"), message, "Remove it, or write `dialect: azure-openai`.")


def timeout_beyond_total(subject: Subject) -> Iterator[Hit]:
    """A phase may take longer than the whole call, so its timeout can never take effect."""
    for provider in subject.resources.providers:
        times = provider.spec.timeouts
        for key, seconds in (("connect", times.connect), ("firstByte", times.first_byte), ("idle", times.idle)):
            written = subject.resources.written(provider, ("spec", "timeouts", key))
            if written and seconds > times.total:
                message = f"{key} of {seconds:g}s can never pass: the whole call may take {times.total:g}s (`total`)"
                yield Hit(provider, ("spec", "timeouts", key), message, "Lower it, or raise `total`.")


def zero_timeout(subject: Subject) -> Iterator[Hit]:
    """A timeout of 0 would end every call at once."""
    for provider in subject.resources.providers:
        times = provider.spec.timeouts
        for key, seconds in (
            ("connect", times.connect),
            ("firstByte", times.first_byte),
            ("idle", times.idle),
            ("total", times.total),
        ):
            if seconds == 0:
                hint = "Write how long to wait; there is no way to wait for ever."
                yield Hit(provider, ("spec", "timeouts", key), "no call can succeed within 0s", hint)
    for model in subject.resources.models:
        if model.spec.routing.deadline == 0:
            path = ("spec", "routing", "deadline")
            yield Hit(model, path, "no call can succeed within 0s", "Remove it: then there is no deadline of its own.")


def unset_credential(subject: Subject) -> Iterator[Hit]:
    """A credential's variable or file, or the package that `awsChain` needs, is not there, where this check runs."""
    for provider in subject.resources.providers:
        for index, credential in enumerate(provider.spec.credentials):
            for name, secret in (
                ("apiKey", credential.api_key),
                ("accessKeyId", credential.access_key_id),
                ("secretAccessKey", credential.secret_access_key),
                ("sessionToken", credential.session_token),
                ("accessToken", credential.access_token),
                ("serviceAccount", credential.service_account),
            ):
                if secret is None:
                    continue
                try:
                    read_secret(secret, subject.env)
                except SecretMissing as error:
                    hint = f"{error.hint} The gateway does not start without it."
                    yield Hit(provider, ("spec", "credentials", index, name), str(error), hint)
            if credential.aws_chain and find_spec("botocore") is None:
                hint = 'Install it: `pip install "tidegate[bedrock]"`. The gateway does not start without it.'
                yield Hit(
                    provider, ("spec", "credentials", index, "awsChain"), "the package `botocore` is missing", hint
                )


def unfit_access_secret(subject: Subject) -> Iterator[Hit]:
    """The secret that AWS access keys are derived from is not there, or short enough to be guessed."""
    gateway = subject.resources.gateway
    if gateway is None or gateway.spec.aws_access is None:
        return
    path = ("spec", "awsAccess", "secret")
    try:
        length = len(read_secret(gateway.spec.aws_access.secret, subject.env))
    except SecretMissing as error:
        yield Hit(gateway, path, str(error), f"{error.hint} The gateway does not start without it.")
        return
    if length < LEAST_ACCESS_SECRET:
        hint = f"Use at least {LEAST_ACCESS_SECRET} random ones, such as from `openssl rand -hex 32`."
        yield Hit(gateway, path, f"a secret of {length} characters can be guessed", hint)


def invalid_allowed_network(subject: Subject) -> Iterator[Hit]:
    """A network that files may be fetched from is no address or network."""
    gateway = subject.resources.gateway
    for index, text in enumerate(gateway.spec.remote_media.allow_networks if gateway is not None else ()):
        try:
            ip_network(text)
        except ValueError as error:
            if gateway is not None:
                hint = "Write an address such as 10.0.0.7, or a network such as 10.0.0.0/8."
                yield Hit(gateway, ("spec", "remoteMedia", "allowNetworks", index), str(error), hint)


def invalid_trusted_proxy(subject: Subject) -> Iterator[Hit]:
    """A trusted proxy is no address or network."""
    gateway = subject.resources.gateway
    for index, text in enumerate(gateway.spec.trusted_proxies if gateway is not None else ()):
        try:
            ip_network(text)
        except ValueError as error:
            if gateway is not None:
                hint = "Write an address such as 10.0.0.7, or a network such as 10.0.0.0/8."
                yield Hit(gateway, ("spec", "trustedProxies", index), str(error), hint)
