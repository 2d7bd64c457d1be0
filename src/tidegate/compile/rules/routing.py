"""How a Model chooses among its targets."""

from collections.abc import Iterator

from tidegate.compile.rules.rule import Hit, Subject


def no_targets(subject: Subject) -> Iterator[Hit]:
    """A Model has no targets."""
    for model in subject.resources.models:
        if not model.spec.targets:
            yield Hit(model, ("spec", "targets"), "a Model without targets can answer nothing", "Add a target.")


def weights_all_zero(subject: Subject) -> Iterator[Hit]:
    """Every target of a priority group has the weight 0, so the group is never used."""
    for model in subject.resources.models:
        targets = model.spec.targets
        for priority in sorted({target.priority for target in targets}):
            group = [index for index, target in enumerate(targets) if target.priority == priority]
            if not any(targets[index].weight for index in group):
                message = f"every target of priority {priority} has the weight 0, so none of them is ever called"
                yield Hit(model, ("spec", "targets", group[0], "weight"), message, "Give one a weight, or remove them.")


def impossible_breaker(subject: Subject) -> Iterator[Hit]:
    """Numbers with which a breaker never opens, or never closes, or opens without a fault."""
    for model in subject.resources.models:
        breaker = model.spec.routing.breaker
        impossible = (
            ("errorRate", not 0 < breaker.error_rate <= 1, "an error rate is above 0 and at most 1"),
            ("minRequests", breaker.min_requests < 1, "fewer than 1 call says nothing"),
            ("window", breaker.window <= 0, "a window of 0s holds no calls"),
            ("openFor", breaker.open_for <= 0, "a breaker that is open for 0s never takes effect"),
        )
        for key, is_so, message in impossible:
            if is_so:
                yield Hit(model, ("spec", "routing", "breaker", key), message, "Write a possible number, or remove it.")


def attempts_without_retry(subject: Subject) -> Iterator[Hit]:
    """Several attempts are allowed, but nothing is retried."""
    for model in subject.resources.models:
        routing = model.spec.routing
        if routing.attempts > 1 and not routing.retry_on:
            message = f"with an empty `retryOn` the {routing.attempts} attempts can never be made"
            yield Hit(model, ("spec", "routing", "retryOn"), message, "Write `attempts: 1`, or what to retry on.")


def hash_without_header(subject: Subject) -> Iterator[Hit]:
    """`by: header` without a header's name."""
    for model in subject.resources.models:
        hash_on = model.spec.routing.hash_on
        if hash_on.by == "header" and not hash_on.header:
            path = ("spec", "routing", "hashOn")
            yield Hit(model, path, "`by: header` needs the header's name", "Add `header: X-Session-Id` or the like.")


def hash_settings_unused(subject: Subject) -> Iterator[Hit]:
    """`hashOn` is set, but the strategy does not hash, or it hashes something else."""
    for model in subject.resources.models:
        routing = model.spec.routing
        path = ("spec", "routing", "hashOn")
        if routing.strategy != "hash" and subject.resources.written(model, path):
            message = f"the strategy `{routing.strategy}` hashes nothing"
            yield Hit(model, path, message, "Write `strategy: hash`, or remove `hashOn`.")
        elif routing.hash_on.header and routing.hash_on.by != "header":
            message = f"the header plays no part while `by` is `{routing.hash_on.by}`"
            yield Hit(model, (*path, "header"), message, "Write `by: header`, or remove it.")


def spill_without_provisioned(subject: Subject) -> Iterator[Hit]:
    """`spillAt` is set, but no target is provisioned."""
    for model in subject.resources.models:
        path = ("spec", "routing", "spillAt")
        provisioned = any(target.capacity == "provisioned" for target in model.spec.targets)
        if subject.resources.written(model, path) and not provisioned:
            hint = "Write `capacity: provisioned` at the target that it is about, or remove it."
            yield Hit(model, path, "no target has provisioned capacity to spill from", hint)


def output_bound_without_output(subject: Subject) -> Iterator[Hit]:
    """`maxOutputTokens` for a task that writes no tokens."""
    for model in subject.resources.models:
        if model.spec.max_output_tokens is not None and model.spec.task not in ("chat", "realtime"):
            message = f"a Model for {model.spec.task} has no output tokens"
            yield Hit(model, ("spec", "maxOutputTokens"), message, "Remove it.")


def single_priority_group(subject: Subject) -> Iterator[Hit]:
    """Priorities are written, but all targets have the same."""
    for model in subject.resources.models:
        targets = model.spec.targets
        written = [
            index
            for index in range(len(targets))
            if targets[index].priority and subject.resources.written(model, ("spec", "targets", index, "priority"))
        ]
        if written and len({target.priority for target in targets}) == 1:
            message = f"every target has the priority {targets[0].priority}, so it decides nothing"
            path = ("spec", "targets", written[0], "priority")
            yield Hit(model, path, message, "Remove it, or give another target another one.")


def attempts_beyond_targets(subject: Subject) -> Iterator[Hit]:
    """More attempts than targets and credentials: the rest call again what has just failed."""
    for model in subject.resources.models:
        path = ("spec", "routing", "attempts")
        pool = 0
        for target in model.spec.targets:
            provider = subject.providers.get(target.provider)
            pool += max(1, len(provider.spec.credentials)) if provider is not None else 1
        attempts = model.spec.routing.attempts
        if subject.resources.written(model, path) and attempts > max(pool, 1):
            message = f"{attempts} attempts over {pool} target(s) with one credential each: the rest repeat what failed"
            yield Hit(model, path, message, "Lower it, or add targets or credentials.")
