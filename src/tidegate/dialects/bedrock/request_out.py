"""From the hub to an upstream's Converse request.

Source: `ConverseRequest` of botocore's model of bedrock-runtime; Bedrock's user guide for the models' own fields.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.dialects.bedrock.content_out import ContentEncoder
from tidegate.dialects.bedrock.models import Family, family_of
from tidegate.dialects.bedrock.tuning import sample, think
from tidegate.dialects.canon import Request, Tool
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.hints import drop_hints
from tidegate.dialects.pseudonym import pseudonym

Json = dict[str, Any]

_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')
_TIERS: Final = {
    "auto": None,
    "default": "default",
    "standard": "default",
    "standard_only": "default",
    "flex": "flex",
    "priority": "priority",
    "reserved": "reserved",
}
_HINTS: Final = ("seed", "frequency_penalty", "presence_penalty", "verbosity", "metadata", "prompt_cache_key")


def encode_request(request: Request, upstream: UpstreamModel) -> bytes:
    """The body; the model and whether it streams are in the path. Raises UnreadableRequest."""
    family = family_of(upstream.name)
    _check(request)
    drop_hints(request, "name", "detail")
    encoder = ContentEncoder(request, family)
    system, messages = encoder.content()
    body: Json = {"messages": messages}
    if system:
        body["system"] = system
    additional: Json = {}
    _tools(body, additional, request, encoder, family)
    _output(body, request)
    thinks = think(body, additional, request, family)
    sample(body, additional, request, family, thinks=thinks)
    _more(body, request)
    if request.stop and family.claude is not None:
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if additional:
        body["additionalModelRequestFields"] = additional
    for name in _HINTS:
        if getattr(request, name) is not None:
            request.dropped.append(request.called(name))
    return msgspec.json.encode(body)


def _check(request: Request) -> None:
    for name in ("logit_bias", "logprobs"):
        if getattr(request, name) is not None:
            told = request.called(name)
            raise unsupported_field(told, f"`{told}`: the upstream of this model has no such field. Leave it out.")
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is not None and not 0 <= value <= 1:
            told = request.called(name)
            raise unsupported_field(told, f"`{told}` is {value:g}: the upstream of this model takes 0 to 1.")
    if not all(one.strip() for one in request.stop):
        told = request.called("stop")
        raise unsupported_field(told, f"`{told}`: the upstream takes no sequence that is whitespace alone.")


def _tools(body: Json, additional: Json, request: Request, encoder: ContentEncoder, family: Family) -> None:
    choice = request.tool_choice
    if not request.tools or (choice is not None and choice.mode == "none"):
        if encoder.calls_tools:
            name = request.called("tool_choice" if request.tools else "tools")
            raise unsupported_field(
                name,
                f"`{name}`: the upstream of this model takes a history with tool calls only along with its tools, "
                "and then it may call them. Send the tools without a choice of `none`, or leave the calls out.",
            )
        return
    named = frozenset(choice.names) if choice is not None and choice.mode != "tool" else frozenset[str]()
    tools: list[Json] = []
    for tool in request.tools:
        if not named or tool.name in named:
            tools.append({"toolSpec": _tool(tool, request, encoder)})
            # Nova knows cache points in messages, not among tools.
            tools += encoder.cache_point(tool.cache) if family.nova is None else []
    if not tools:
        name = request.called("tool_choice")
        raise bad_field(f"`{name}` allows none of the tools that there are.", name)
    config: Json = {"tools": tools}
    if choice is not None:
        match choice.mode:
            case "tool":
                config["toolChoice"] = {"tool": {"name": encoder.tool_name(choice.names[0])}}
            case "required":
                config["toolChoice"] = {"any": {}}
            case _:
                config["toolChoice"] = {"auto": {}}
    body["toolConfig"] = config
    if request.parallel_tool_calls is False and family.claude is not None:
        additional["tool_choice"] = _claude_choice(config.get("toolChoice"))
    elif request.parallel_tool_calls is False:
        request.first_call_alone = True


def _claude_choice(choice: Json | None) -> Json:
    told: Json = {"type": "auto", "disable_parallel_tool_use": True}
    if choice is not None and "any" in choice:
        told["type"] = "any"
    elif choice is not None and "tool" in choice:
        told |= {"type": "tool", "name": choice["tool"]["name"]}
    return told


def _tool(tool: Tool, request: Request, encoder: ContentEncoder) -> Json:
    if tool.custom:
        name = request.called("tools")
        raise unsupported_field(name, f"`{name}`: `{tool.name}` is a custom tool; this upstream has functions only.")
    spec: Json = {"name": encoder.tool_name(tool.name), "inputSchema": {"json": tool.parameters or _NO_SCHEMA}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return spec


def _output(body: Json, request: Request) -> None:
    wanted = request.output_format
    if wanted is None:
        return
    name = request.called("output_format")
    if wanted.kind == "json_object" or wanted.schema is None:
        raise unsupported_field(name, f"`{name}`: the upstream of this model knows JSON only with a schema. Give one.")
    schema: Json = {"schema": bytes(wanted.schema).decode()}
    if wanted.name:
        schema["name"] = wanted.name
    if wanted.description:
        schema["description"] = wanted.description
    body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}


def _more(body: Json, request: Request) -> None:
    tier = request.service_tier
    if tier is not None:
        if tier not in _TIERS:
            name = request.called("service_tier")
            raise unsupported_field(name, f"`{name}`: the upstream has no tier `{tier}`.")
        if _TIERS[tier] is not None:
            body["serviceTier"] = {"type": _TIERS[tier]}
    if request.user is not None:
        body["requestMetadata"] = {"user": pseudonym(request.user)}
