"""A hard budget and a model whose price is unknown: refused, as its cost could not be held to the budget."""

from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from tidegate.compile import NoPrices, compile_snapshot
from tidegate.config import load
from tidegate.core.problem import Problem
from tidegate.decide.admit import Admission, admit
from tidegate.decide.compiled import Compiled
from tidegate.dialects.openai import OpenAI

KEY = "a-key-of-twenty-characters"
TEXT = f"""
kind: Provider
metadata: {{name: house}}
spec: {{dialect: openai, baseUrl: "https://llm.example.com/v1"}}
---
kind: Model
metadata: {{name: blend}}
spec: {{targets: [{{provider: house, model: one}}], price: {{inputPerMillion: 1, outputPerMillion: 2}}}}
---
kind: Team
metadata: {{name: harbour}}
---
kind: Consumer
metadata: {{name: clerk}}
spec: {{team: harbour, keys: [{{value: {KEY}}}], budget: {{usd: 10, period: day, soft: SOFT}}}}
"""
BODY = b'{"model": "blend", "messages": []}'


def admitted(folder: Path, *, soft: bool, priced: bool) -> Admission | Problem:
    file = folder / "config.yaml"
    file.write_text(TEXT.replace("SOFT", str(soft).lower()))
    snapshot = compile_snapshot(load(file, {}), env={}, price_book=NoPrices())
    if not priced:  # the rules of `check` would refuse such a configuration; a decision must not rely on it
        (model,) = snapshot.models
        targets = tuple(replace(target, price=None) for target in model.targets)
        snapshot = replace(snapshot, models=(replace(model, targets=targets),))
    compiled = Compiled.of(snapshot)
    consumer = compiled.consumer_for(sha256(KEY.encode()).digest())
    assert consumer is not None
    return admit(OpenAI().read("chat", BODY), consumer, compiled, None)


def test_under_a_hard_budget(tmp_path: Path) -> None:
    refused = admitted(tmp_path, soft=False, priced=False)
    assert isinstance(refused, Problem)
    assert (refused.status, refused.code, refused.field) == (403, "unpriced_model", "model")


def test_otherwise_it_may_go(tmp_path: Path) -> None:
    assert isinstance(admitted(tmp_path, soft=True, priced=False), Admission)
    assert isinstance(admitted(tmp_path, soft=False, priced=True), Admission)
