"""Credentials: what each request carries, and which of them outlive a reload."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.bedrock import KEY_ID, REGION, SECRET, TOKEN, unproven
from tests.support.vertex import key_file, key_pair

from tidegate.config.secret import SecretMissing
from tidegate.core.clock import ManualClock
from tidegate.core.snapshot import CredentialSpec, ProviderSpec, SecretRef, ServerSpec, Snapshot, Timeouts
from tidegate.dialects.registry import DIALECTS
from tidegate.gateway.credentials.signing import signature
from tidegate.gateway.upstreams import Credential, Upstreams
from tidegate.wire.client import Resolver

NOW_NS = 1_763_683_200 * 10**9
SIGNING = CredentialSpec(
    id="0",
    api_key=None,
    access_key_id=SecretRef(value=KEY_ID),
    secret_access_key=SecretRef(env="AWS_SECRET"),
    session_token=SecretRef(value=TOKEN),
)


def snapshot(*credentials: CredentialSpec, dialect: str = "bedrock", region: str | None = REGION) -> Snapshot:
    provider = ProviderSpec(
        name="p",
        dialect=dialect,
        base_url="http://127.0.0.1:1",
        credentials=credentials,
        region=region,
        timeouts=Timeouts(),
    )
    return Snapshot(version="v", providers=(provider,), models=(), consumers=(), keys=(), server=ServerSpec())


@pytest.fixture
def upstreams(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstreams]:
    monkeypatch.setenv("AWS_SECRET", SECRET)
    loop = asyncio.new_event_loop()
    yield Upstreams(loop, Resolver(loop), ManualClock())
    loop.close()


def head_of(credential: Credential) -> bytes:
    return credential.head(DIALECTS["bedrock"], "chat", "eu.anthropic.claude-v1:0", True)


def headers_of(block: bytes) -> dict[str, str]:
    lines = block.decode().split("\r\n")
    return {name: value for name, _, value in (line.partition(": ") for line in lines) if value}


def test_a_signature_that_botocore_would_make(upstreams: Upstreams) -> None:
    credential = upstreams.prepare(snapshot(SIGNING)).credential("p", "0")
    assert credential.signer is not None
    head, body = head_of(credential), b'{"messages":[]}'
    line, _, fixed = head.partition(b"\r\n")
    assert line == b"POST /model/eu.anthropic.claude-v1%3A0/converse-stream HTTP/1.1"
    assert b"authorization" not in head
    assert SECRET.encode() not in head
    headers = headers_of(fixed + signature(credential.signer, head, body, NOW_NS))
    path = line.split(b" ")[1].decode()
    assert unproven(path, headers, body) == ""
    assert unproven(path, headers, body + b" ") == "the signature does not match"
    assert headers["x-amz-date"] == "20251121T000000Z"


def test_a_bearer_key_is_a_header_that_never_changes(upstreams: Upstreams) -> None:
    key = CredentialSpec(id="0", api_key=SecretRef(value="bedrock-key"))
    credential = upstreams.prepare(snapshot(key, region=None)).credential("p", "0")
    assert credential.signer is None
    assert b"authorization: Bearer bedrock-key\r\n" in head_of(credential)


def test_a_secret_that_changed_makes_another_credential(upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch) -> None:
    first = upstreams.prepare(snapshot(SIGNING))
    same = first.prepare(snapshot(SIGNING))
    assert same.credential("p", "0") is first.credential("p", "0")
    monkeypatch.setenv("AWS_SECRET", "another")
    assert same.prepare(snapshot(SIGNING)).credential("p", "0") is not first.credential("p", "0")
    monkeypatch.delenv("AWS_SECRET")
    with pytest.raises(SecretMissing, match="AWS_SECRET"):
        first.prepare(snapshot(SIGNING))


def test_a_dialect_that_signs_nothing_gets_no_signer(upstreams: Upstreams) -> None:
    """The rules of the configuration refuse it; a snapshot made otherwise sends the key nowhere."""
    credential = upstreams.prepare(snapshot(SIGNING, dialect="openai")).credential("p", "0")
    assert credential.signer is None
    assert KEY_ID.encode() not in credential.head(DIALECTS["openai"], "chat", "m", False)


def test_a_key_of_the_chain_signs_at_the_last_moment_and_is_kept_over_a_reload(upstreams: Upstreams) -> None:
    chain = CredentialSpec(id="0", api_key=None, aws_chain=True)
    first = upstreams.prepare(snapshot(chain))
    credential = first.credential("p", "0")
    assert credential.signer is None and credential.proofs is not None
    assert b"authorization" not in head_of(credential)
    assert first.prepare(snapshot(chain)).credential("p", "0") is credential
    credential.close()


def test_without_botocore(upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(SecretMissing, match=r"provider p, credential 0: .*tidegate\[bedrock\]"):
        upstreams.prepare(snapshot(CredentialSpec(id="0", api_key=None, aws_chain=True)))


# Google's.


def google(**kind: Any) -> Snapshot:
    return snapshot(CredentialSpec(id="0", api_key=None, **kind), dialect="vertex", region=None)


def test_an_access_token_is_a_header_that_never_changes(upstreams: Upstreams) -> None:
    """`accessToken`."""
    credential = upstreams.prepare(google(access_token=SecretRef(value="ya29.x"))).credential("p", "0")
    head = credential.head(DIALECTS["vertex"], "chat", "gemini-2.5-pro", True)
    assert b"authorization: Bearer ya29.x\r\n" in head
    assert (credential.proofs, credential.renews()) == (None, False)


def test_a_service_account_gets_its_tokens_elsewhere_and_keeps_them_over_a_reload(
    upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_FILE", key_file("https://tokens.example"))
    account = google(service_account=SecretRef(env="KEY_FILE"))
    first = upstreams.prepare(account)
    credential = first.credential("p", "0")
    assert credential.proofs is not None
    assert b"authorization" not in credential.head(DIALECTS["vertex"], "chat", "gemini-2.5-pro", True)
    assert first.prepare(account).credential("p", "0") is credential
    monkeypatch.setenv("KEY_FILE", key_file("https://tokens.example", private_key=key_pair(1)[0]))
    assert first.prepare(account).credential("p", "0") is not credential


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "serviceAccount of credential 0: `type`"),
        (key_file("https://tokens.example", token_uri=None), "`token_uri` of the key is missing"),
        (key_file("http://tokens.example"), "`token_uri` of the key must be an https URL"),
        (key_file("https://tokens.example", private_key="-----BEGIN"), "provider p, credential 0: `private_key`"),
    ],
)
def test_a_key_that_cannot_be_used_is_said_by_its_field(upstreams: Upstreams, text: str, says: str) -> None:
    with pytest.raises(SecretMissing, match=says):
        upstreams.prepare(google(service_account=SecretRef(value=text)))


def test_without_the_extra(upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("tidegate.wire.jwt.import_module", missing)
    with pytest.raises(SecretMissing, match=r"tidegate\[vertex\]"):
        upstreams.prepare(google(service_account=SecretRef(value=key_file("https://tokens.example"))))


def test_the_metadata_server(upstreams: Upstreams) -> None:
    assert upstreams.prepare(google(metadata_server=True)).credential("p", "0").proofs is not None
