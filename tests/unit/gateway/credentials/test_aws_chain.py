"""AWS's chain, walked by the real botocore, and the proofs made with what it finds."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.aws_identity import WEB_TOKEN, Identity, identity_thread
from tests.support.bedrock import KEY_ID, REGION, SECRET, TOKEN, unproven

from tidegate.core.clock import ManualClock
from tidegate.dialects.bedrock.dialect import Bedrock
from tidegate.dialects.dialect import AccessKey
from tidegate.gateway.credentials.aws_chain import BotocoreMissing, ChainIssuer, KeyChain, NoKey
from tidegate.gateway.credentials.proof import Proof
from tidegate.wire.client import Failure

HOST = "bedrock.test"


@pytest.fixture(scope="module")
def shared() -> Iterator[Identity]:
    with identity_thread() as identity:
        yield identity


@pytest.fixture
def identity(shared: Identity, monkeypatch: pytest.MonkeyPatch) -> Identity:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    shared.asked.clear()
    shared.denies = False
    return shared


def set_up(identity: Identity, kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "token").write_text(WEB_TOKEN)
    for name, value in identity.environment(kind, str(folder / "token")).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("kind", ["web", "container", "instance"])
def test_the_role_of_a_pod_a_task_and_an_instance(
    kind: str, identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(identity, kind, tmp_path, monkeypatch)
    chain = KeyChain(REGION)
    assert chain.key() == chain.key() == AccessKey(KEY_ID, SECRET, TOKEN)
    assert len(identity.asked) == 1
    chain.forget()
    assert chain.key().id == KEY_ID
    assert len(identity.asked) == 2


def test_a_key_of_the_environment(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the environment")
    assert KeyChain(REGION).key() == AccessKey("AKID", "of the environment")
    assert identity.asked == []


def test_a_role_that_may_not_be_assumed(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(identity, "web", tmp_path, monkeypatch)
    identity.denies = True
    with pytest.raises(NoKey, match=r"AccessDenied.*Not authorized") as caught:
        KeyChain(REGION).key()
    assert WEB_TOKEN not in str(caught.value)


def test_nothing_to_be_found(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(NoKey, match="none in the environment, in profiles"):
        KeyChain(REGION).key()


def test_without_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(BotocoreMissing):
        KeyChain(REGION)


def asked() -> Proof | Failure:
    async def main() -> Proof | Failure:
        loop, clock = asyncio.get_running_loop(), ManualClock()
        told: asyncio.Future[Proof | Failure] = loop.create_future()
        issuer = ChainIssuer(KeyChain(REGION), lambda key: Bedrock().signer(key, REGION, HOST), loop=loop, clock=clock)
        try:
            issuer.ask(told.set_result)
            return await told
        finally:
            issuer.close()

    return asyncio.run(main())


def test_each_request_is_signed_by_itself(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(identity, "container", tmp_path, monkeypatch)
    proof = asked()
    assert isinstance(proof, Proof)
    for body in (b"{}", b'{"messages":[]}'):
        lines = proof.headers(b"POST /model/m/converse HTTP/1.1\r\nhost: x\r\n\r\n", body).decode().split("\r\n")
        headers = {"host": HOST} | {name: value for name, _, value in (line.partition(": ") for line in lines) if value}
        assert unproven("/model/m/converse", headers, body) == ""
        assert unproven("/model/m/converse", headers, body + b" ") == "the signature does not match"


def test_no_key_is_a_failure_of_the_credential(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(identity, "container", tmp_path, monkeypatch)
    identity.denies = True
    failure = asked()
    assert isinstance(failure, Failure)
    assert (failure.kind, "no AWS credentials: " in failure.message) == ("credential", True)
