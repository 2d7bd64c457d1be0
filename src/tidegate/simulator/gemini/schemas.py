"""Reads tools and schemas: `Schema` is Google's own, closed form; JSON Schemas are taken as they are."""

import re
from typing import Any, Final

from tidegate.simulator.composition import Tool
from tidegate.simulator.gemini.fields import Fields, invalid

_SCHEMA: Final = frozenset(
    """type format title description nullable enum items maxItems minItems properties required minProperties
    maxProperties minLength maxLength pattern example anyOf propertyOrdering default minimum maximum
    additionalProperties defs $defs ref $ref""".split()
)
_TYPES: Final = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL", "TYPE_UNSPECIFIED")
_TOOLS: Final = frozenset(
    """functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext computerUse fileSearch googleMaps
    retrieval enterpriseWebSearch mcpServers parallelAiSearch exaAiSearch""".split()
)
_FUNCTION: Final = frozenset(
    "name description parameters parametersJsonSchema response responseJsonSchema behavior".split()
)
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_DEEPEST: Final = 32


def read_schema(schema: Fields, depth: int = 0) -> dict[str, Any]:
    """A `Schema` → a JSON Schema. Raises Rejection."""
    if depth > _DEEPEST:
        raise invalid(f"{schema.at}: the schema is nested too deeply", schema.at)
    schema.only(_SCHEMA)
    found: dict[str, Any] = dict(schema.values)
    kind = schema.get("type")
    if isinstance(kind, list):
        text = f"Invalid value at '{schema.path('type')}' (type), Proto field is not repeating, cannot start list."
        raise invalid(text, schema.path("type"))
    kind = schema.text("type")
    if kind is not None:
        if kind.upper() not in _TYPES:
            raise schema.wrong_value(schema.path("type"), kind, _TYPES)
        found["type"] = kind.lower()
    properties = schema.get("properties")
    if properties is not None:
        if not isinstance(properties, dict):
            raise schema.wrong_type(schema.path("properties"), "an object", properties)
        found["properties"] = {
            name: read_schema(Fields.of(inner, f"{schema.at}.properties[{name}]"), depth + 1)
            for name, inner in properties.items()
        }
    items = schema.inner("items")
    if items is not None:
        found["items"] = read_schema(items, depth + 1)
    if schema.get("anyOf") is not None:
        found["anyOf"] = [read_schema(inner, depth + 1) for inner in schema.each("anyOf")]
    for name in schema.texts("required"):
        if name not in found.get("properties", {}):
            text = f"{schema.at}.required: property '{name}' is not defined"
            raise invalid(text, schema.path("required"))
    return found


def read_tools(fields: Fields) -> tuple[Tool, ...]:
    """The functions that the model may call. Raises Rejection."""
    tools: list[Tool] = []
    for tool in fields.each("tools"):
        tool.only(_TOOLS)
        for function in tool.each("functionDeclarations"):
            tools.append(_read_function(function))
    names = [tool.name for tool in tools]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"Duplicate function declaration found: {name}", "tools")
    return tuple(tools)


def _read_function(function: Fields) -> Tool:
    function.only(_FUNCTION)
    name = function.text("name", "") or ""
    if _NAME.fullmatch(name) is None:
        text = (
            f"* GenerateContentRequest.{function.path('name')}: Invalid function name. Must start with a letter or an "
            "underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with "
            "a maximum length of 128."
        )
        raise invalid(text, function.path("name"))
    function.text("description")
    closed, free = function.inner("parameters"), function.get("parametersJsonSchema")
    if closed is not None and free is not None:
        raise invalid(f"{function.at}: only one of parameters and parameters_json_schema can be set", function.at)
    if closed is not None:
        return Tool("function", name, read_schema(closed))
    if free is not None and not isinstance(free, dict):
        raise function.wrong_type(function.path("parametersJsonSchema"), "an object", free)
    return Tool("function", name, free or {})


def read_calling(fields: Fields, tools: tuple[Tool, ...]) -> tuple[str, tuple[Tool, ...]]:
    """`toolConfig` → the choice in a Conversation's words, and the tools that are left."""
    config = fields.inner("toolConfig")
    calling = None if config is None else config.inner("functionCallingConfig")
    if calling is None:
        return "auto", tools
    calling.only(frozenset({"mode", "allowedFunctionNames", "streamFunctionCallArguments"}))
    modes = ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED")
    mode = calling.choice("mode", modes, "AUTO")
    allowed = calling.texts("allowedFunctionNames")
    if not tools and mode in ("ANY", "VALIDATED"):
        raise invalid("Function calling config is set without function_declarations.", calling.at)
    if allowed and mode not in ("ANY", "VALIDATED"):
        text = "allowed_function_names should only be set when the function calling mode is ANY or VALIDATED."
        raise invalid(text, calling.path("allowedFunctionNames"))
    for name in allowed:
        if name not in {tool.name for tool in tools}:
            text = f"Function name '{name}' in allowed_function_names is not among the function_declarations."
            raise invalid(text, calling.path("allowedFunctionNames"))
    left = tuple(tool for tool in tools if not allowed or tool.name in allowed)
    if mode == "ANY":
        only = [tool.name for tool in left]
        return ("required" if len(only) > 1 else f"={only[0]}"), left
    return ("none" if mode == "NONE" else "auto"), left
