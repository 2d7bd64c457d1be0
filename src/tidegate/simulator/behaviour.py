"""How each simulated model behaves: profile files, their checks, and the models served without one.

Owns the meaning of a profile's fields. Knows no wire format.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar, cast, get_args

import msgspec
import yaml
from msgspec import Struct

from tidegate.config.scalars import read_duration
from tidegate.simulator.predictor import Predictor, TensorSpec
from tidegate.simulator.spread import Spread

_T = TypeVar("_T")

Task = Literal[
    "chat",
    "completion",
    "embedding",
    "moderation",
    "rerank",
    "image",
    "speech",
    "transcription",
    "realtime",
    "inference",
]

Fault = Literal[
    "stall-before-head",
    "stall-after-head",
    "stall-mid-answer",
    "reset-before-head",
    "reset-after-head",
    "reset-mid-answer",
    "cut-clean",
    "error-event",
    "no-usage",
    "bad-json",
    "empty",
    "wrong-length",
    "html-error",
    "endless",
]
"""What can go wrong with one answer:

- `stall-…`: nothing more comes, the connection stays open
- `reset-…`: the connection is torn down
- `cut-clean`: half of the answer, then a clean end: a stream without its end marker
- `error-event`: half of a stream, then an error frame and no end marker (a 500 if the call does not stream)
- `no-usage`: the answer says nothing of what it consumed
- `bad-json`, `empty`: a 200 whose body, or one of whose events, cannot be read; a 200 without a body
- `wrong-length`: a `content-length` beyond what comes
- `html-error`: a proxy's 502 page
- `endless`: a stream that never ends
"""

FAULTS: Final[tuple[str, ...]] = get_args(Fault)


class Seconds(float):
    """Written `250ms`, `30s`, `5m`, `1h`."""

    @classmethod
    def parse(cls, written: object) -> Self:
        """Raises ValueError."""
        if not isinstance(written, str):
            raise ValueError(f"`{written}` is not a duration such as 250ms or 30s")
        return cls(read_duration(written))

    @property
    def text(self) -> str:
        """As `parse` reads it."""
        return f"{float(self):f}s"


_Scalar = Spread | Seconds
"""What a profile writes as a text of its own; msgspec asks the two functions below about such fields only."""


class RateWindow(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Beyond these, calls get a 429 until the window that the first call opened is over."""

    requests: int = 0
    """0: no limit."""
    tokens: int = 0
    """Of prompts and answers together; 0: no limit."""
    window: Seconds = Seconds(60)


class Behaviour(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One model. Everything but `task` may be changed at run time and steered per call."""

    task: Task = "chat"
    owned_by: str = "system"
    """A reranker of `voyageai` answers as Voyage's do."""
    created: int = 1_744_316_542
    context_window: int = 128_000
    max_output_tokens: int = 32_768
    dimensions: int = 1536
    """Of embeddings."""
    predictor: Predictor = Predictor()
    """Of predictive models."""
    legacy: bool = False
    """Of speech and transcriptions: as `tts-1` and `whisper-1` are, without streams, its usage in seconds if at all."""

    first_byte: Spread = Spread.parse("0s")
    """Time to the first token (stream), or its part of the time to the whole answer."""
    per_token: Spread = Spread.parse("0s")
    """Time between the events of a stream; a whole answer takes it once per token."""
    tokens: Spread = Spread.parse("uniform(24, 96)")
    """Of an answer, where nothing else bounds it: exact if it is one number, else up to the end of a sentence."""
    reasoning_tokens: Spread = Spread.parse(0)
    tokens_per_event: int = 1
    text: str | None = None
    """The answer's exact text, instead of an invented one."""
    refusal: Literal["", "answer", "prompt"] = ""
    """The model declines, in the dialect's own way: with a few words, or because of the prompt and without any."""
    write_bytes: int = 0
    """Answers are written in pieces of so many bytes, each on a later turn of the event loop; 0: as they come."""
    drip: Seconds = Seconds(0)
    """Pause between such pieces."""
    crlf: bool = False
    """Stream lines end in CRLF."""
    comments: bool = False
    """Comment lines between the events of a stream, as proxies send them to keep connections alive."""

    errors: dict[str, float] = {}
    """Share of calls by `STATUS` or `STATUS/code`: `{"503": 0.05, "429/insufficient_quota": 0.01}`."""
    faults: dict[Fault, float] = {}
    """Share of calls by name of a fault."""
    script: tuple[str, ...] = ()
    """What the next calls get, in order: `STATUS`, `STATUS/code`, a fault's name or `ok`. Then as usual."""
    limit: RateWindow = RateWindow()
    retry_after: Seconds | None = None
    """Told with every error that says one; None: 429 and 503 name what is left of their window, or a second."""
    utilization: float | None = None
    """Share of provisioned capacity in use, told as `azure-openai-deployment-utilization`; from 1 on calls get 429."""
    usage: bool = True
    """False: as the fault `no-usage`, always."""
    prompt_cache: bool = True
    """Repeated prefixes of 1,024 tokens and more are reported as cached."""
    strict: bool = True
    """Unknown request fields are refused, as OpenAI does; False: ignored, as vLLM does."""


class Profile(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What a simulator serves."""

    models: dict[str, Behaviour]
    """By name; `*` stands for any other name."""
    defaults: dict[str, Any] = {}
    """Fields for every model that does not set them itself."""
    seed: int = 0
    require_key: bool = True
    """False: calls without a credential are served."""
    keys: dict[str, str] = {}
    """Credentials that do not work, with the `STATUS` or `STATUS/code` that they get; any other works."""
    service_accounts: dict[str, str] = {}
    """Google's, by their e-mail: the public key (PEM) that proves an assertion. Vertex AI then takes no other tokens."""
    token_seconds: int = 3_600
    """How long an access token holds."""


class BadProfile(ValueError):
    """A profile, or a change to one, that cannot be used; the message says where and why."""


_CHAT: Final = ("gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini", "meta-llama/Llama-3.1-8B-Instruct")

_GEMINI: Final = ("gemini-3-pro", "gemini-2.5-pro", "gemini-2.5-flash")
_CLAUDE: Final = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")

_IRIS: Final = Predictor(
    inputs=(TensorSpec("predict", "FP32", (-1, 4)),), outputs=(TensorSpec("predict", "INT64", (-1,)),)
)
_WRITER: Final = Predictor(
    inputs=(TensorSpec("text_input", "BYTES", (-1,)),), outputs=(TensorSpec("text_output", "BYTES", (-1,)),)
)


def _bedrock_models() -> dict[str, Behaviour]:
    return {
        "anthropic.claude-sonnet-5-5-v1:0": Behaviour(context_window=200_000, max_output_tokens=64_000),
        "amazon.nova-pro-v1:0": Behaviour(context_window=300_000, max_output_tokens=10_000),
        "amazon.titan-embed-text-v2:0": Behaviour(task="embedding", context_window=8_192, dimensions=1024),
        "amazon.nova-2-multimodal-embeddings-v1:0": Behaviour(task="embedding", context_window=8_192, dimensions=3072),
        "cohere.embed-v4:0": Behaviour(task="embedding", context_window=128_000, dimensions=1536),
        "amazon.nova-canvas-v1:0": Behaviour(task="image"),
        "stability.stable-image-core-v1:1": Behaviour(task="image"),
    }


def default_models() -> dict[str, Behaviour]:
    """What is served without a profile: a few well-known names, as fast as possible, without faults."""
    return {
        **{name: Behaviour() for name in _CHAT},
        **{name: Behaviour(context_window=200_000, max_output_tokens=64_000) for name in _CLAUDE},
        **{name: Behaviour(context_window=1_048_576, max_output_tokens=65_536) for name in _GEMINI},
        "gpt-3.5-turbo-instruct": Behaviour(task="completion", context_window=4_096, max_output_tokens=4_096),
        "text-embedding-3-small": Behaviour(task="embedding", context_window=8_192),
        "text-embedding-3-large": Behaviour(task="embedding", context_window=8_192, dimensions=3072),
        "text-embedding-005": Behaviour(task="embedding", context_window=2_048, dimensions=768),
        "gemini-embedding-001": Behaviour(task="embedding", context_window=2_048, dimensions=3072),
        "mistral-large-latest": Behaviour(owned_by="mistralai", max_output_tokens=32_768),
        "mistral-embed": Behaviour(task="embedding", owned_by="mistralai", context_window=8_192, dimensions=1024),
        "llama3.2": Behaviour(owned_by="library"),
        "nomic-embed-text": Behaviour(task="embedding", context_window=8_192, dimensions=768),
        "command-a-03-2025": Behaviour(context_window=256_000, max_output_tokens=8_192),
        "embed-v4.0": Behaviour(task="embedding", context_window=128_000, dimensions=1536),
        "rerank-v3.5": Behaviour(task="rerank", context_window=4_096),
        "jina-reranker-v3": Behaviour(task="rerank", owned_by="jinaai", context_window=131_072),
        "rerank-2.5": Behaviour(task="rerank", owned_by="voyageai", context_window=32_000),
        "iris": Behaviour(task="inference", predictor=_IRIS),
        "writer": Behaviour(task="inference", predictor=_WRITER),
        **_bedrock_models(),
        "gpt-image-2": Behaviour(task="image"),
        "gemini-2.5-flash-image": Behaviour(task="image", context_window=32_768),
        "imagen-4.0-generate-001": Behaviour(task="image"),
        "gpt-4o-mini-tts": Behaviour(task="speech"),
        "tts-1": Behaviour(task="speech", legacy=True),
        "gemini-2.5-flash-preview-tts": Behaviour(task="speech", context_window=8_192, max_output_tokens=16_384),
        "gemini-3.8-flash-tts": Behaviour(task="speech", context_window=32_768, max_output_tokens=16_384),
        "gpt-4o-transcribe": Behaviour(task="transcription"),
        "whisper-1": Behaviour(task="transcription", legacy=True),
        "gpt-realtime": Behaviour(task="realtime", context_window=32_000, max_output_tokens=4_096),
        "omni-moderation-latest": Behaviour(task="moderation", context_window=32_768),
    }


def load_profile(path: Path) -> dict[str, Any]:
    """Reads YAML or JSON, for `profile_from`. Raises BadProfile, or OSError."""
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadProfile(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise BadProfile(f"{path}: a profile is a mapping with `models`, `defaults`, `seed`, `requireKey`, `keys`")
    return cast(dict[str, Any], document)


def profile_from(fields: Mapping[str, Any]) -> Profile:
    """A profile from what YAML or JSON reads to. Without `models`, the default ones. Raises BadProfile."""
    defaults = _mapping("defaults", fields.get("defaults"))
    keys = {str(key): str(outcome) for key, outcome in _mapping("keys", fields.get("keys")).items()}
    for key, outcome in keys.items():
        read_outcome(f"keys.{key}", outcome)
    if fields.get("models") is None:
        written = {name: _written(model) for name, model in default_models().items()}
    else:
        written = _mapping("models", fields["models"])
    models = {
        str(name): behaviour_from(name, {**defaults, **_mapping(f"models.{name}", model)})
        for name, model in written.items()
    }
    profile = _convert("profile", {**fields, "models": {}, "keys": keys}, Profile)
    return msgspec.structs.replace(profile, models=models)


def behaviour_from(name: object, fields: Mapping[str, Any], onto: Behaviour | None = None) -> Behaviour:
    """Reads fields, over those of `onto` if given. Raises BadProfile."""
    merged = {**({} if onto is None else _written(onto)), **fields}
    if isinstance(merged.get("errors"), dict):  # YAML reads a bare 503 as a number
        merged["errors"] = {str(outcome): share for outcome, share in merged["errors"].items()}
    if isinstance(merged.get("script"), list):
        merged["script"] = [str(step) for step in merged["script"]]
    behaviour = _convert(f"models.{name}", merged, Behaviour)
    for outcome, share in behaviour.errors.items():
        read_outcome(f"models.{name}.errors", outcome)
        _check_share(f"models.{name}.errors.{outcome}", share)
    for fault, share in behaviour.faults.items():
        _check_share(f"models.{name}.faults.{fault}", share)
    for step in behaviour.script:
        if step != "ok" and step not in FAULTS:
            read_outcome(f"models.{name}.script", step)
    return behaviour


def behaviour_fields(behaviour: Behaviour) -> dict[str, Any]:
    """All fields of a behaviour as JSON writes them."""
    fields = {field.encode_name: getattr(behaviour, field.name) for field in msgspec.structs.fields(Behaviour)}
    return cast(dict[str, Any], msgspec.to_builtins(fields, enc_hook=_written_scalar))


def read_outcome(where: str, text: str) -> tuple[int, str]:
    """`503` → (503, ""); `429/insufficient_quota` → (429, "insufficient_quota"). Raises BadProfile."""
    status, _, code = text.partition("/")
    if not status.isdecimal() or not 400 <= int(status) <= 599:
        names = ", ".join(FAULTS)
        raise BadProfile(f"{where}: `{text}` is neither an HTTP error such as 503 or 429/code nor one of ok, {names}")
    return int(status), code


def _written(behaviour: Behaviour) -> dict[str, Any]:
    return cast(dict[str, Any], msgspec.to_builtins(behaviour, enc_hook=_written_scalar))


def _written_scalar(value: _Scalar) -> str:
    return value.text


def _read_scalar(kind: type[_Scalar], written: object) -> _Scalar:
    return kind.parse(written)


def _convert(where: str, fields: object, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(fields, kind, dec_hook=_read_scalar)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadProfile(f"{where}: {error}") from error


def _mapping(where: str, value: object) -> dict[Any, Any]:
    """Absent is empty. Raises BadProfile."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadProfile(f"`{where}` is not a mapping")
    return cast(dict[Any, Any], value)


def _check_share(where: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise BadProfile(f"{where}: {share} is not a share between 0 and 1")
