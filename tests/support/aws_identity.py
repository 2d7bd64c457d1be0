"""Where AWS's SDKs find temporary keys, as far as botocore asks: a token service, a container's endpoint, an instance's."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.support.bedrock import KEY_ID, SECRET, TOKEN

ROLE = "arn:aws:iam::1:role/tidegate"
WEB_TOKEN, CONTAINER_TOKEN, SESSION = "web-identity", "container-secret", "imds-session"
ENDS = "2099-01-01T00:00:00Z"

_ASSUMED = f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>{KEY_ID}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>
<SessionToken>{TOKEN}</SessionToken><Expiration>{ENDS}</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>A:s</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/tidegate/s</Arn></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
_DENIED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message>
</Error></ErrorResponse>"""


@dataclass
class Identity:
    url: str = ""
    asked: list[str] = field(default_factory=list[str])
    """The path of each request that was answered with a key."""
    denies: bool = False

    def environment(self, kind: str, token_file: str) -> dict[str, str]:
        """What EKS, ECS and EC2 set, or the tests' wish in their place."""
        found = {
            "web": {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": token_file, "AWS_ENDPOINT_URL_STS": self.url},
            "container": {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/container",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": CONTAINER_TOKEN,
            },
            "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url},
        }[kind]
        nowhere = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
        return nowhere | found

    def answer(self, method: str, path: str, headers: dict[str, str], body: str) -> tuple[int, str]:
        if method == "PUT":
            return (200, SESSION) if path == "/latest/api/token" else (404, "")
        if path == "/container":
            return self._key(path, headers.get("authorization") == CONTAINER_TOKEN)
        if path == "/latest/meta-data/iam/security-credentials/":
            return 200, "tidegate"
        if path == "/latest/meta-data/iam/security-credentials/tidegate":
            return self._key(path, headers.get("x-aws-ec2-metadata-token") == SESSION)
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        if asked.get("Action") != "AssumeRoleWithWebIdentity":
            return 404, ""
        if self.denies or (asked["RoleArn"], asked["WebIdentityToken"]) != (ROLE, WEB_TOKEN):
            return 403, _DENIED
        self.asked.append(asked["Action"])
        return 200, _ASSUMED

    def _key(self, path: str, allowed: bool) -> tuple[int, str]:
        if self.denies or not allowed:
            return 403, json.dumps({"Code": "AccessDenied", "Message": "no"})
        self.asked.append(path)
        told = {"AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "Token": TOKEN, "Expiration": ENDS}
        return 200, json.dumps({**told, "Code": "Success"})


@contextmanager
def identity_thread() -> Iterator[Identity]:
    identity = Identity()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, text = identity.answer(self.command, self.path, headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_PUT = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    identity.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield identity
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
