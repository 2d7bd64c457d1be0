"""The role of a pod: botocore's chain finds its key at a token service, and every call to Bedrock is signed with it."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai import OpenAI
from tests.support.aws_identity import WEB_TOKEN, Identity, identity_thread
from tests.support.bedrock import REGION, TOKEN, FakeBedrock, bedrock_thread, converse_answer, streamed_text
from tests.support.gateway import Gateway, gateway_process
from tests.support.services import CLIENT_KEY

CONFIG = """
kind: Provider
metadata: {{name: bedrock}}
spec: {{dialect: bedrock, baseUrl: "{url}", region: {region}, credentials: [{{awsChain: true}}]}}
---
kind: Model
metadata: {{name: claude}}
spec:
  targets: [{{provider: bedrock, model: eu.anthropic.claude-v1}}]
  routing: {{attempts: 1, retryOn: []}}
---
kind: Team
metadata: {{name: default}}
---
kind: Consumer
metadata: {{name: app}}
spec: {{team: default, models: ["*"], keys: [{{value: {{env: CLIENT_KEY}}}}]}}
"""
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def identity() -> Iterator[Identity]:
    with identity_thread() as identity:
        yield identity


@pytest.fixture
def bedrock() -> Iterator[FakeBedrock]:
    with bedrock_thread() as bedrock:
        yield bedrock


@pytest.fixture
def gateway(identity: Identity, bedrock: FakeBedrock, tmp_path: Path) -> Iterator[Gateway]:
    (tmp_path / "token").write_text(WEB_TOKEN)
    env = {"CLIENT_KEY": CLIENT_KEY, **identity.environment("web", str(tmp_path / "token"))}
    with gateway_process(tmp_path, CONFIG.format(url=bedrock.url, region=REGION), env=env) as gateway:
        yield gateway


def client(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=CLIENT_KEY, max_retries=0)


def test_calls_are_signed_with_the_role_s_key(gateway: Gateway, identity: Identity, bedrock: FakeBedrock) -> None:
    bedrock.replies += [converse_answer("Hello"), streamed_text("a", "b")]
    with client(gateway) as openai_client:
        answer = openai_client.chat.completions.create(model="claude", messages=HI)
        assert answer.choices[0].message.content == "Hello"
        chunks = openai_client.chat.completions.create(model="claude", messages=HI, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "ab"
    assert [one.headers["x-amz-security-token"] for one in bedrock.received] == [TOKEN, TOKEN]
    assert identity.asked == ["AssumeRoleWithWebIdentity"]


def test_a_role_that_may_not_be_assumed(gateway: Gateway, identity: Identity, bedrock: FakeBedrock) -> None:
    identity.denies = True
    with client(gateway) as openai_client, pytest.raises(openai.APIStatusError) as caught:
        openai_client.chat.completions.create(model="claude", messages=HI)
    assert caught.value.status_code == 502
    assert "refused the gateway's own credential" in str(caught.value)
    assert bedrock.received == []
