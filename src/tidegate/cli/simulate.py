"""`tidegate simulate`: a simulated provider as a process of its own."""

import argparse
import asyncio
import json
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

import uvloop

from tidegate.server.options import BadOption, listening_socket
from tidegate.simulator.bedrock.access import KEY_ID, SECRET
from tidegate.simulator.behaviour import FAULTS, BadProfile, Profile, load_profile, profile_from
from tidegate.simulator.serve import Running, start

_LISTEN: Final = "127.0.0.1:9100"
_EXAMPLE: Final = '{"model": "MODEL", "messages": [{"role": "user", "content": "When does the tide turn?"}]}'


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "simulate",
        help="run a simulated provider with settable latency, errors and faults",
        description="A simulated provider that speaks the dialects of OpenAI (Responses too), Azure OpenAI, "
        "Anthropic, Bedrock, Gemini, Cohere, Jina, Voyage, Mistral and Ollama, and of predictive servers (Open Inference "
        "Protocol, TensorFlow Serving, TorchServe), all at one address and with the same models. What it saw is at "
        "/_sim/calls; its models can be changed at run time at /_sim/models/NAME.",
        epilog=f"Distributions: 200ms, uniform(100ms, 300ms), lognormal(300ms, 0.5). Faults: {', '.join(FAULTS)}.",
    )
    parser.add_argument("--listen", default=_LISTEN, metavar="HOST:PORT", help=f"where to listen (default {_LISTEN})")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="YAML or JSON: models and how they behave")
    parser.add_argument("--seed", type=int, metavar="N", help="same seed, same calls: same answers (default 0)")
    parser.add_argument("--first-byte", metavar="TIME", help="time to the first token, a distribution")
    parser.add_argument("--per-token", metavar="TIME", help="time between tokens, a distribution")
    parser.add_argument("--tokens", metavar="COUNT", help="tokens of an answer, a distribution")
    parser.add_argument(
        "--error", action="append", default=[], metavar="STATUS=SHARE", help="e.g. 503=0.05; may be repeated"
    )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME=SHARE", help="e.g. cut-clean=0.01; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print what is served as one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop. Exit codes: 0 stopped, 1 the profile is invalid, 2 the port cannot be had."""
    try:
        profile = _profile(args)
    except (BadProfile, OSError) as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return 1
    try:
        listener = listening_socket(args.listen, "--listen")
    except BadOption as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(profile, listener, args.json))
    return 0


def _profile(args: argparse.Namespace) -> Profile:
    """The file's profile with the flags as its models' defaults. Raises BadProfile or OSError."""
    flags: dict[str, Any] = {
        "firstByte": args.first_byte,
        "perToken": args.per_token,
        "tokens": args.tokens,
        "errors": _shares("--error", args.error),
        "faults": _shares("--fault", args.fault),
    }
    flags = {name: value for name, value in flags.items() if value}
    document = {} if args.profile is None else load_profile(args.profile)
    document["defaults"] = {**document.get("defaults", {}), **flags}
    if args.seed is not None:
        document["seed"] = args.seed
    return profile_from(document)


def _shares(option: str, settings: list[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for setting in settings:
        name, _, share = setting.partition("=")
        try:
            shares[name] = float(share)
        except ValueError as error:
            raise BadProfile(f"{option} {setting} is not NAME=SHARE, for example 503=0.05") from error
    return shares


async def _serve(profile: Profile, listener: socket.socket, as_json: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = await start(profile, sock=listener)
    print(_announcement(running, as_json), flush=True)
    await stop.wait()
    await running.stop()


def _announcement(running: Running, as_json: bool) -> str:
    models = running.simulator.models
    if as_json:
        return json.dumps({"url": running.url, "port": running.port, "models": list(models)})
    chat = next((name for name, model in models.items() if model.task == "chat"), None)
    lines = [f"Simulated provider at {running.url}/v1", "", f"  models   {', '.join(models)}"]
    lines.append("  dialects OpenAI and Responses /v1, Azure /openai, Anthropic /v1/messages, Gemini /v1beta/models,")
    lines.append(f"           Cohere /v2, Ollama /api, Bedrock /model (access key {KEY_ID}, {SECRET})")
    lines.append(f"  calls    curl -s {running.url}/_sim/calls")
    if chat is not None:
        body = shlex.quote(_EXAMPLE.replace("MODEL", "gpt-4.1" if chat == "*" else chat))
        lines += [
            "",
            f"  curl -s {running.url}/v1/chat/completions -H 'Authorization: Bearer sim' "
            f"-H 'Content-Type: application/json' -d {body}",
        ]
    return "\n".join([*lines, ""])
