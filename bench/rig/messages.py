"""The request and the answer of the rig: an 0.8 KB chat request, a 1 KB completion, 50 chunks and a usage chunk."""

import json

MODEL = "gpt-4o-mini"
CHUNKS = 50
CHUNK_SECONDS = 0.02
_WORDS = "the quick brown fox jumps over the lazy dog while tides rise and fall along the gate of the harbour "


def request_body(size: int = 800, *, model: str = MODEL, stream: bool = False, ask_usage: bool = True) -> bytes:
    """A chat request of `size` bytes, give or take a few."""

    def render(prompt: str) -> bytes:
        fields: dict[str, object] = {
            "model": model,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": prompt},
            ],
            "max_tokens": 128,
            "temperature": 0.7,
        }
        if stream:
            fields["stream"] = True
            if ask_usage:
                fields["stream_options"] = {"include_usage": True}
        return json.dumps(fields).encode()

    missing = max(0, size - len(render("")))
    return render((_WORDS * (missing // len(_WORDS) + 1))[:missing])


def completion(size: int = 1024) -> bytes:
    """A chat completion of about `size` bytes."""

    def render(text: str) -> bytes:
        return json.dumps(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion",
                "created": 1_700_000_000,
                "model": "gpt-4o-mini-2024-07-18",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": text, "refusal": None},
                        "logprobs": None,
                        "finish_reason": "stop",
                    }
                ],
                "usage": {
                    "prompt_tokens": 180,
                    "completion_tokens": 120,
                    "total_tokens": 300,
                    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
                },
                "system_fingerprint": "fp_bench",
            }
        ).encode()

    missing = max(0, size - len(render("")))
    return render((_WORDS * (missing // len(_WORDS) + 1))[:missing])


def chunks() -> list[bytes]:
    """The events of one stream: CHUNKS content chunks, then the last chunk, usage and the end marker in one."""

    def event(choices: list[object], usage: object) -> bytes:
        fields = {
            "id": "chatcmpl-bench",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": choices,
            "usage": usage,
        }
        return b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n"

    def choice(delta: object, finish: str | None) -> list[object]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    events = [event(choice({"role": "assistant", "content": ""}, None), None)]
    events += [event(choice({"content": f" word{number}"}, None), None) for number in range(1, CHUNKS)]
    usage = {"prompt_tokens": 180, "completion_tokens": CHUNKS, "total_tokens": 180 + CHUNKS}
    events.append(event(choice({}, "stop"), None) + event([], usage) + b"data: [DONE]\n\n")
    return events
