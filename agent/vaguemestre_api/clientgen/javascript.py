"""The JavaScript client and its TypeScript declarations, written from the description of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator

from vaguemestre_api.clientgen.description import Answer, Call, Description, Field, Kind, Type
from vaguemestre_api.clientgen.naming import camel, comment


def module(api: Description, runtime: str) -> str:
    """Return the ES module: the runtime with one method an operation and the table of routes."""
    routes = ["const ROUTES = {", *(_route(call) for call in api.calls), "};"]
    events = f"const EVENTS = {json.dumps([name for name, _ in api.events])};"
    return (
        runtime.replace("{{version}}", api.version)
        .replace("{{methods}}", "\n\n".join(_method(call) for call in api.calls))
        .replace("{{routes}}", "\n".join([events, *routes]))
    )


def _route(call: Call) -> str:
    facts: dict[str, object] = {
        "name": call.name,
        "method": call.method,
        "path": call.path,
        "statuses": list(call.statuses),
        "answer": call.answer.value,
    }
    for name, is_so in (("actor", call.has_actor), ("key", call.takes_key), ("repeatable", _is_repeatable(call))):
        if is_so:
            facts[name] = True
    body = ", ".join(f"{name}: {json.dumps(value)}" for name, value in facts.items())
    return f"  {call.name}: {{ {body} }},"


def _is_repeatable(call: Call) -> bool:
    """Say whether the call may be sent again without knowing what became of the first."""
    return call.method == "GET" or call.takes_key


def _arguments(call: Call) -> list[str]:
    names = [camel(item.name) for item in call.path_fields]
    if call.form:
        names.append("form")
    elif call.request:
        names.append("request" if call.request_required else "request = {}")
    if call.query_fields:
        names.append("query" if any(item.required for item in call.query_fields) else "query = {}")
    return [*names, "options = {}"]


def _method(call: Call) -> str:
    parts: list[str] = []
    if call.path_fields:
        parts.append("path: { " + ", ".join(f"{f.name}: {camel(f.name)}" for f in call.path_fields) + " }")
    if call.query_fields:
        parts.append("query")
    if call.form:
        listed = (_part(f) for f in call.form)
        parts.append("form: [" + ", ".join(listed) + "]")
    elif call.request:
        parts.append("request")
    given = "{ " + ", ".join(parts) + " }" if parts else "{}"
    head = f"  /** {comment(call.summary)}. */\n"
    arguments = ", ".join(_arguments(call))
    if call.answer is Answer.STREAM:
        return (
            f"{head}  {call.name}({arguments}) {{\n    return this.#stream(ROUTES.{call.name}, {given}, options);\n  }}"
        )
    return f"{head}  {call.name}({arguments}) {{\n    return this.#call(ROUTES.{call.name}, {given}, options);\n  }}"


def _part(item: Field) -> str:
    """Return one part of a form; a list is one part for each of its items."""
    if item.type.kind is Kind.LIST and item.type.item is not None:
        kind = _part_kind(item.type.item)
        return f'...(form.{item.name} ?? []).map((part) => ["{item.name}", "{kind}", part])'
    return f'["{item.name}", "{_part_kind(item.type)}", form.{item.name}]'


def _part_kind(kind: Type) -> str:
    if kind.kind is Kind.BINARY:
        return "binary"
    return "json" if kind.kind in {Kind.ANY, Kind.MODEL} else "text"


def declarations(api: Description, runtime: str) -> str:
    """Return the TypeScript declarations of the module."""
    return (
        runtime.replace("{{version}}", api.version)
        .replace("{{models}}", "\n\n".join(_interfaces(api)))
        .replace("{{methods}}", "\n".join(_declared(call) for call in api.calls))
        .replace("{{items}}", "\n".join(_item(name, model) for name, model in api.events))
    )


def _item(name: str, model: str) -> str:
    return f'  | {{ event: "{name}"; content: {model}; resumeAfter: number | null }}'


def _interfaces(api: Description) -> Iterator[str]:
    for model in api.models:
        lines = [f"/** {comment(model.description)} */", f"export interface {model.name} {{"]
        for item in model.fields:
            if item.description:
                lines.append(f"  /** {comment(item.description)} */")
            lines.append(f"  {item.name}{'' if item.required else '?'}: {_typescript(item.type)};")
        yield "\n".join([*lines, "}"])


def _typescript(kind: Type) -> str:
    match kind.kind:
        case Kind.TEXT:
            # A closed set may grow: what is not known yet stays readable.
            text = " | ".join([*(json.dumps(value) for value in kind.values), "(string & {})"])
            text = text if kind.values else "string"
        case Kind.INTEGER | Kind.NUMBER:
            text = "number"
        case Kind.BOOLEAN:
            text = "boolean"
        case Kind.ANY:
            text = "any"
        case Kind.MODEL:
            text = kind.model
        case Kind.LIST:
            assert kind.item is not None
            text = f"Array<{_typescript(kind.item)}>"
        case Kind.MAP:
            assert kind.item is not None
            text = f"Record<string, {_typescript(kind.item)}>"
        case Kind.BINARY:
            text = "FilePart"
    return f"{text} | null" if kind.nullable else text


def _declared(call: Call) -> str:
    arguments = [f"{camel(item.name)}: string" for item in call.path_fields]
    if call.form:
        members = (f"{f.name}{'' if f.required else '?'}: {_part_type(f.type)}" for f in call.form)
        arguments.append("form: { " + "; ".join(members) + " }")
    elif call.request:
        arguments.append(f"request{'' if call.request_required else '?'}: {call.request}")
    if call.query_fields:
        members = (f"{f.name}{'' if f.required else '?'}: {_typescript(f.type)}" for f in call.query_fields)
        is_needed = any(item.required for item in call.query_fields)
        arguments.append(f"query{'' if is_needed else '?'}: {{ " + "; ".join(members) + " }")
    options = "StreamOptions" if call.answer is Answer.STREAM else "CallOptions"
    arguments.append(f"options?: {options}")
    match call.answer:
        case Answer.STREAM:
            result = "AsyncGenerator<StreamItem, void, undefined>"
        case Answer.MODEL:
            result = f"Promise<{call.answer_model}>"
        case Answer.JSON:
            result = "Promise<any>"
        case Answer.BYTES:
            result = "Promise<Uint8Array>"
        case Answer.NOTHING:
            result = "Promise<void>"
    return f"  /** {comment(call.summary)}. */\n  {call.name}({', '.join(arguments)}): {result};"


def _part_type(kind: Type) -> str:
    if kind.kind is Kind.BINARY:
        return "FilePart"
    if kind.kind is Kind.ANY:
        return "object | string"
    if set(kind.values) == {"true", "false"}:
        return "boolean"
    return _typescript(kind)
