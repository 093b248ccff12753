"""The C# client, one file, written from the description of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from vaguemestre_api.clientgen.description import Answer, Call, Description, Field, Kind, Model, Type
from vaguemestre_api.clientgen.naming import camel, comment, pascal, xml_comment

# Of the language's keywords, those that could name a parameter of the API.
_KEYWORDS: Final = frozenset(
    {"abstract", "as", "base", "case", "checked", "class", "const", "continue", "default", "delegate", "do", "event"}
    | {
        "explicit",
        "false",
        "fixed",
        "for",
        "goto",
        "if",
        "implicit",
        "in",
        "interface",
        "internal",
        "is",
        "lock",
        "new",
    }
    | {"null", "object", "operator", "out", "override", "params", "private", "protected", "public", "readonly", "ref"}
    | {"return", "sealed", "static", "string", "struct", "switch", "this", "throw", "true", "try", "typeof", "using"}
    | {"virtual", "void", "volatile", "while"}
)
_VALUES: Final = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN})
_PLAIN: Final = {
    Kind.TEXT: ("string", "Get.Text"),
    Kind.INTEGER: ("long", "Get.Integer"),
    Kind.NUMBER: ("double", "Get.Number"),
    Kind.BOOLEAN: ("bool", "Get.Boolean"),
    Kind.ANY: ("object", "Get.Any"),
    Kind.BINARY: ("FilePart", "Get.Any"),
}


def source(api: Description, runtime: str) -> str:
    """Return the C# file."""
    routes = "\n".join(_route(call) for call in api.calls)
    items = (f"        public {model} {pascal(name)} {{ get; internal set; }}" for name, model in api.events)
    cases = (
        f'                case "{name}": item.{pascal(name)} = {model}.FromJson(value); break;'
        for name, model in api.events
    )
    return (
        runtime.replace("{{version}}", api.version)
        .replace("{{items}}", "\n".join(items))
        .replace("{{cases}}", "\n".join(cases))
        .replace("{{methods}}", "\n\n".join(_method(call) for call in api.calls))
        .replace("{{routes}}", f"        private static class Routes\n        {{\n{routes}\n        }}")
        .replace("{{models}}", "\n\n".join(_model(model) for model in api.models))
    )


def _argument(name: str) -> str:
    found = camel(name)
    return f"@{found}" if found in _KEYWORDS else found


def _plain(kind: Type) -> str:
    if kind.kind is Kind.MODEL:
        return kind.model
    if kind.kind in {Kind.LIST, Kind.MAP}:
        assert kind.item is not None
        inner = _plain(kind.item)
        return f"List<{inner}>" if kind.kind is Kind.LIST else f"Dictionary<string, {inner}>"
    return _PLAIN[kind.kind][0]


def _reader(kind: Type) -> str:
    if kind.kind is Kind.MODEL:
        # A member may have the name of a model: the model is named in full.
        return f"global::Vaguemestre.{kind.model}.FromJson"
    if kind.kind in {Kind.LIST, Kind.MAP}:
        assert kind.item is not None
        method = "Items" if kind.kind is Kind.LIST else "Values"
        return f"v => Get.{method}<{_plain(kind.item)}>(v, {_reader(kind.item)})"
    return _PLAIN[kind.kind][1]


def _may_be_absent(item: Field) -> bool:
    return item.type.nullable or not item.required


def _declared(item: Field) -> str:
    plain = _plain(item.type)
    return f"{plain}?" if item.type.kind in _VALUES and _may_be_absent(item) else plain


def _model(model: Model) -> str:
    lines = [f"    /// <summary>{xml_comment(model.description)}</summary>"]
    lines += [f"    public sealed class {model.name} : IJsonModel", "    {"]
    for item in model.fields:
        if item.description:
            lines.append(f"        /// <summary>{xml_comment(_described(item))}</summary>")
        lines.append(f"        public {_declared(item)} {_property(model, item)} {{ get; set; }}")
    lines += ["", f"        internal static {model.name} FromJson(object value)", "        {"]
    lines.append(f'            var members = Get.Members(value, "{model.name}");')
    lines += [f"            return new {model.name}", "            {"]
    lines += [f"                {_property(model, item)} = {_read(item)}," for item in model.fields]
    lines += ["            };", "        }", "", "        Dictionary<string, object> IJsonModel.ToJson()", "        {"]
    lines.append("            var members = new Dictionary<string, object>();")
    lines += [f'            Get.Put(members, "{item.name}", {_property(model, item)});' for item in model.fields]
    lines += ["            return members;", "        }", "    }"]
    return "\n".join(lines)


def _described(item: Field) -> str:
    values = item.type.values
    return f"{item.description} Valeurs : {', '.join(values)}." if values else item.description


def _property(model: Model, item: Field) -> str:
    found = pascal(item.name)
    return f"{found}Value" if found == model.name else found


def _read(item: Field) -> str:
    plain, reader = _plain(item.type), _reader(item.type)
    absent = "MaybeValue" if item.type.kind in _VALUES else "Maybe"
    method = absent if _may_be_absent(item) else "Needed"
    return f'Get.{method}<{plain}>(members, "{item.name}", {reader})'


def _route(call: Call) -> str:
    facts = [
        f"Name = {json.dumps(call.name)}",
        f"Method = {json.dumps(call.method)}",
        f"Path = {json.dumps(call.path)}",
        f"Statuses = new[] {{ {', '.join(map(str, call.statuses))} }}",
    ]
    is_repeatable = call.method == "GET" or call.takes_key
    for name, is_so in (("HasActor", call.has_actor), ("TakesKey", call.takes_key), ("IsRepeatable", is_repeatable)):
        if is_so:
            facts.append(f"{name} = true")
    return f"            internal static readonly Route {pascal(call.name)} = new Route {{ {', '.join(facts)} }};"


def _arguments(call: Call) -> Iterator[str]:
    """Yield the parameters of the method, those that must be given first."""
    yield from (f"string {_argument(item.name)}" for item in call.path_fields)
    yield from (f"{_form_type(item.type)} {_argument(item.name)}" for item in call.form if item.required)
    if call.request and call.request_required:
        yield f"{call.request} request"
    yield from (f"{_query_type(item)} {_argument(item.name)}" for item in call.query_fields if item.required)
    yield from (
        f"{_form_type(item.type, optional=True)} {_argument(item.name)} = null"
        for item in call.form
        if not item.required
    )
    if call.request and not call.request_required:
        yield f"{call.request} request = null"
    yield from (f"{_query_type(item)} {_argument(item.name)} = null" for item in call.query_fields if not item.required)
    yield "CallOptions options = null"


def _form_type(kind: Type, *, optional: bool = False) -> str:
    if kind.kind in {Kind.ANY, Kind.MODEL}:
        return "object"
    if set(kind.values) == {"true", "false"}:
        return "bool?" if optional else "bool"
    return _plain(kind)


def _query_type(item: Field) -> str:
    if item.type.kind is Kind.LIST:
        assert item.type.item is not None
        return f"IEnumerable<{_plain(item.type.item)}>"
    return _declared(item)


def _built(call: Call) -> str:
    parts = ["new Call()"]
    parts += [f'InPath("{item.name}", {_argument(item.name)})' for item in call.path_fields]
    for item in call.form:
        name = _argument(item.name)
        value = f"JsonText.Of({name})" if item.type.kind in {Kind.ANY, Kind.MODEL} else name
        parts.append(f'Part("{item.name}", {value})')
    if call.request:
        parts.append("With(request)")
    parts += [f'InQuery("{item.name}", {_argument(item.name)})' for item in call.query_fields]
    return ".".join(parts)


def _method(call: Call) -> str:
    name = pascal(call.name)
    given = f"Routes.{name}, {_built(call)}, options"
    match call.answer:
        case Answer.NOTHING:
            result, body = "void", f"Send({given});"
        case Answer.MODEL:
            result, body = call.answer_model, f"return global::Vaguemestre.{call.answer_model}.FromJson(Ask({given}));"
        case Answer.JSON:
            result, body = "object", f"return Ask({given});"
        case Answer.BYTES:
            result, body = "byte[]", f"return Send({given});"
        case Answer.STREAM:
            result, body = "IEnumerable<StreamItem>", f"return Stream({given});"
    described = xml_comment(comment(call.summary))
    return (
        f"        /// <summary>{described}.</summary>\n"
        f"        public {result} {name}({', '.join(_arguments(call))})\n        {{\n            {body}\n        }}"
    )
