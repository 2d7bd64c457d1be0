"""A canary in every place where a secret or a prompt can be; then a search through everything that comes out."""

import asyncio
import http.client
import urllib.parse
from pathlib import Path

from tests.support.chat_client import Answer, Client, ask, chat
from tests.support.fault_proxy import REFUSE, FaultProxy, fault_proxy
from tests.support.gateway import Gateway, gateway_process
from tests.support.inspection import eventually, metrics, worker_state
from tests.support.simulator import simulator_thread
from tests.support.trial_config import MODEL, config

CLIENT = "tg-canary-client-5e1f"
UPSTREAM = "sk-canary-upstream-77ab"
WRONG = "tg-canary-wrong-90cd"
PROMPT = "canary prompt 1a2b: my number is 12345"
HEADER = "canary-header-3c4d"
SECRETS = (CLIENT, UPSTREAM, WRONG)
CONTENT = (PROMPT, HEADER)


async def every_kind_of_call(gateway: Gateway, proxy: FaultProxy) -> list[Answer]:
    answers: list[Answer] = []
    for fault in ("none", "reset-in-body", "garbage", "stall-before-head", "huge-header", REFUSE):
        proxy.fault = fault
        for stream in (False, True):
            fields = chat(MODEL, PROMPT, stream=stream, max_tokens=30, user=HEADER)
            answers.append(await ask(gateway.address, CLIENT, fields, headers=[f"cookie: session={HEADER}"]))
    address = gateway.address
    answers.append(await ask(address, WRONG, chat(MODEL, PROMPT)))
    answers.append(await ask(address, CLIENT, chat("no-such-model", PROMPT)))
    answers.append(await ask(address, CLIENT, {"model": MODEL, "messages": PROMPT, "max_tokens": -1}))
    answers.append(await ask(address, CLIENT, [PROMPT]))
    gone = Client(address, CLIENT)
    await gone.send(chat(MODEL, PROMPT, stream=True))
    gone.close()
    return answers


def raw_refusals(gateway: Gateway) -> list[bytes]:
    """Keys in odd places: the query, a basic credential, a broken header line."""
    host, _, port = gateway.address.rpartition(":")
    told: list[bytes] = []
    for path, headers in (
        (f"/v1/chat/completions?key={WRONG}", {}),
        ("/v1/chat/completions", {"authorization": f"Basic {WRONG}"}),
        ("/v1/chat/completions", {"x-api-key": WRONG}),
        ("/nowhere", {"authorization": f"Bearer {CLIENT}"}),
        ("/v1/chat/completions", {"transfer-encoding": f"{WRONG}"}),
    ):
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request("POST", path, b"{}", headers)
        answer = connection.getresponse()
        told.append(str(answer.getheaders()).encode() + answer.read())
        connection.close()
    return told


def leaks(data: bytes, canaries: tuple[str, ...]) -> list[str]:
    """The canaries in `data`, plain, percent-encoded or without their ends."""
    found = [canary for canary in canaries if canary.encode() in data or canary.encode()[4:-4] in data]
    return found + [canary for canary in canaries if urllib.parse.quote(canary).encode() in data]


def test_no_output_holds_a_secret(tmp_path: Path) -> None:
    env = {"FAULT_KEY": CLIENT, "FAULT_UPSTREAM_KEY": UPSTREAM}
    timeouts = "{connect: 1s, firstByte: 200ms, idle: 200ms, total: 1s}"
    outputs: dict[str, bytes] = {}
    with simulator_thread() as simulator, fault_proxy(simulator.port) as proxy:
        text = config(proxy.port, timeouts=timeouts)
        with gateway_process(tmp_path, text, env=env) as gateway:
            answers = asyncio.run(every_kind_of_call(gateway, proxy))
            for number, answer in enumerate(answers):
                outputs[f"answer {number}"] = str(answer.headers).encode() + answer.body
            for number, told in enumerate(raw_refusals(gateway)):
                outputs[f"refusal {number}"] = told
            outputs["metrics"] = metrics(gateway).encode()
            outputs["state"] = str(worker_state(gateway)).encode()
            for arguments in (
                ("usage", "--by", "consumer,key,model"),
                ("usage", "--json"),
                ("check", str(gateway.config)),
            ):
                done = gateway.command(*arguments)
                outputs[f"tidegate {arguments}"] = (done.stdout + done.stderr).encode()
            for answer in answers:
                if answer.id:
                    for arguments in (("explain", answer.id), ("explain", answer.id, "--json")):
                        done = gateway.command(*arguments)
                        assert done.returncode == 0, done.stderr
                        outputs[f"tidegate {arguments}"] = (done.stdout + done.stderr).encode()
            gateway.config.write_text(text.replace("kind: Team", f"kind: Teamm\nkey: {WRONG}"))
            eventually(lambda: "configuration refused" in gateway.output())
            done = gateway.command("check", str(gateway.config))
            assert done.returncode == 1
            outputs["reload refused"] = (done.stdout + done.stderr).encode()
    for path in [gateway.log, *(path for path in gateway.data_dir.rglob("*") if path.is_file())]:
        outputs[path.name] = path.read_bytes()
    assert len(outputs) > 40
    assert {name: leaks(data, SECRETS) for name, data in outputs.items() if leaks(data, SECRETS)} == {}
    kept = {name: data for name, data in outputs.items() if not name.startswith("answer")}
    assert {name: leaks(data, CONTENT) for name, data in kept.items() if leaks(data, CONTENT)} == {}


def test_the_clients_key_stays_here_and_the_providers_key_goes_there(tmp_path: Path) -> None:
    env = {"FAULT_KEY": CLIENT, "FAULT_UPSTREAM_KEY": UPSTREAM}
    with simulator_thread() as simulator, gateway_process(tmp_path, config(simulator.port), env=env) as gateway:
        answer = asyncio.run(
            ask(
                gateway.address,
                CLIENT,
                chat(MODEL),
                headers=["cookie: a=b", f"api-key: {CLIENT}", "x-forwarded-for: 10.0.0.1", "x-stainless-os: Linux"],
            )
        )
        assert answer.status == 200
        (seen,) = simulator.calls(MODEL)
    sent = dict(seen.headers)
    assert sent[b"authorization"] == b"Bearer " + UPSTREAM.encode()
    assert leaks(str(seen.headers).encode() + seen.body, (CLIENT,)) == []
    assert not {b"cookie", b"api-key", b"x-forwarded-for", b"x-stainless-os"} & set(sent)
