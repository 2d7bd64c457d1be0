"""Providers at Google's Vertex AI."""

from collections.abc import Iterator

from tidegate.compile.rules.rule import Hit, Subject
from tidegate.config.secret import SecretMissing, read_secret
from tidegate.config.service_account import BadServiceAccount, read_service_account
from tidegate.dialects.vertex.names import is_claude
from tidegate.wire.jwt import EXTRA_MISSING, CryptographyMissing, JwtSigner, KeyUnusable


def google_credential_unused(subject: Subject) -> Iterator[Hit]:
    """A credential of Google Cloud's, or a project, at a Provider of another dialect."""
    for provider in subject.resources.providers:
        if provider.spec.dialect == "vertex":
            continue
        hint = "Remove it, or write `dialect: vertex`."
        if provider.spec.project is not None:
            message = f"the dialect `{provider.spec.dialect}` has no projects"
            yield Hit(provider, ("spec", "project"), message, hint)
        for index, credential in enumerate(provider.spec.credentials):
            for name, there in (
                ("accessToken", credential.access_token is not None),
                ("serviceAccount", credential.service_account is not None),
                ("metadataServer", credential.metadata_server),
            ):
                if there:
                    message = f"the dialect `{provider.spec.dialect}` takes no access tokens of Google's"
                    yield Hit(provider, ("spec", "credentials", index, name), message, hint)


def vertex_without_project(subject: Subject) -> Iterator[Hit]:
    """Calls that are no express mode's, as they need a project and the Provider has none."""
    for provider in subject.resources.providers:
        spec = provider.spec
        if spec.dialect != "vertex" or spec.project is not None or "/projects/" in spec.base_url:
            continue
        hint = "Add `project`, the id of the project in Google Cloud."
        if any(one.api_key is None for one in spec.credentials):
            message = "without a `project` there is express mode alone, which takes an `apiKey`"
            yield Hit(provider, ("spec", "credentials"), message, hint)
        for model in subject.resources.models:
            for index, target in enumerate(model.spec.targets):
                if target.provider == provider.metadata.name and is_claude(target.model):
                    message = f"`{target.model}` needs a project, and `{target.provider}` has none"
                    yield Hit(model, ("spec", "targets", index), message, hint)


def bad_service_account(subject: Subject) -> Iterator[Hit]:
    """A service account's key that is none, or that nothing here can sign with."""
    for provider in subject.resources.providers:
        for index, credential in enumerate(provider.spec.credentials):
            if credential.service_account is None:
                continue
            path = ("spec", "credentials", index, "serviceAccount")
            hint = "Make a key for the service account in Google Cloud, and give its whole JSON."
            try:
                account = read_service_account(read_secret(credential.service_account, subject.env))
                JwtSigner(account.private_key, account.private_key_id)
            except SecretMissing:
                continue  # `unset-credential` says it
            except BadServiceAccount as error:
                yield Hit(provider, path, str(error), hint)
            except KeyUnusable as error:
                yield Hit(provider, path, f"`private_key` of the key: {error}", hint)
            except CryptographyMissing:
                yield Hit(provider, path, EXTRA_MISSING, 'Install it: `pip install "tidegate[vertex]"`.')
