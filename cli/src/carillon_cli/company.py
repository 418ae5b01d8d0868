"""A company as a YAML file: read, checked field by field with the line of each mistake, and turned into the directory's request; and back.

Always: every plain scalar is kept as text and typed by the resource's model, so `12:00`, `+41215550100`, `no` and `0101` mean what
they look like; a key may stand once; the first level is `tenant` and the plural of each kind of resource. What is written has one form,
`normal`: kinds in the order of `RESOURCES`, each by id, without what the directory makes (`etag`, hashes), and without what has its
default anyway.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from pydantic import ValidationError

from carillon.directory.v1 import directory_pb2
from carillon_cli.errors import CliError
from carillon_contracts.config import OUTPUT_ONLY, RESOURCES, SECRET_FIELDS, Resource, Tenant

#: A file is read whole; a company of 50,000 users is a fifth of this.
MAX_BYTES = 128 * 1024 * 1024
#: Pydantic's kinds of error that its own words tell badly.
WORDS = {"missing": "is missing", "extra_forbidden": "there is no such field"}
Path = tuple[str | int, ...]
#: libyaml's, where it is there: ten times quicker.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with the file: where, which field, why."""

    line: int
    field: str
    reason: str


class BadCompany(CliError):
    """The file cannot be taken; `mistakes` has all of them."""

    def __init__(self, name: str, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        lines = [f"{name}:{m.line}: {m.field}: {m.reason}" if m.field else f"{name}:{m.line}: {m.reason}" for m in mistakes]
        super().__init__("\n".join(["the file has mistakes; nothing was changed", *(f"  {line}" for line in lines)]))


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML file holds, and the line on which each path of it stands (the first is 1)."""

    name: str
    data: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of the path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def mistake(self, path: Path, reason: str) -> Mistake:
        return Mistake(self.line(path), ".".join(map(str, path)), reason)


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], mistakes: list[Mistake]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return None if node.style is None and node.value in ("", "~", "null") else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_walk(item, (*path, index), lines, mistakes) for index, item in enumerate(node.value)]
    found: dict[str, Any] = {}
    for key, value in node.value:
        name = str(key.value)
        lines[(*path, name)] = line = key.start_mark.line + 1
        if name in found:
            mistakes.append(Mistake(line, ".".join(map(str, (*path, name))), "stands twice"))
        found[name] = _walk(value, (*path, name), lines, mistakes)
    return found


def parse(text: str, name: str) -> Document:
    """Read YAML. Raises `BadCompany` for what is no YAML, for aliases and for keys that stand twice."""
    mistakes: list[Mistake] = []
    lines: dict[Path, int] = {}
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _LOADER)):
            raise BadCompany(name, [Mistake(1, "", "aliases (*name) are not taken; write the value out")])
        node = yaml.compose(text, _LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise BadCompany(name, [Mistake(mark.line + 1 if mark else 1, "", f"not YAML: {error.problem}")]) from error
    except yaml.YAMLError as error:
        raise BadCompany(name, [Mistake(1, "", f"not YAML: {error}")]) from error
    data = None if node is None else _walk(node, (), lines, mistakes)
    if mistakes:
        raise BadCompany(name, mistakes)
    return Document(name, data, lines)


def sections() -> dict[str, type[Resource]]:
    """The keys of the first level besides `tenant`, and what stands under each."""
    return {kind.PLURAL: kind for kind in RESOURCES.values() if kind is not Tenant}


def check_resource(document: Document, kind: type[Resource], value: Any, path: Path, into: dict[str, Any]) -> Iterator[Mistake]:
    """Check one resource; put its JSON, defaults left out, into `into`."""
    if not isinstance(value, dict):
        yield document.mistake(path, "must hold fields")
        return
    extra = {key: value[key] for key in SECRET_FIELDS.get(kind.KIND, ()) if value.get(key) is not None}
    given = {key: inner for key, inner in value.items() if key not in extra}
    try:
        resource = kind.model_validate(given)
    except ValidationError as error:
        for found in error.errors():
            yield document.mistake((*path, *found["loc"]), WORDS.get(found["type"]) or found["msg"].removeprefix("Value error, "))
        return
    into.update(resource.model_dump(mode="json", exclude_unset=True, exclude_none=True), **extra)


def check(document: Document) -> dict[str, Any]:
    """The company as JSON by section. Raises `BadCompany` with every mistake of the file."""
    if not isinstance(document.data, dict):
        raise BadCompany(document.name, [Mistake(1, "", "must hold `tenant` and lists of resources")])
    known = sections()
    mistakes: list[Mistake] = []
    company: dict[str, Any] = {"tenant": {}}
    if "tenant" not in document.data:
        mistakes.append(Mistake(1, "tenant", "is missing"))
    for section, value in document.data.items():
        if section == "tenant":
            mistakes += check_resource(document, Tenant, value, ("tenant",), company["tenant"])
        elif section not in known:
            mistakes.append(document.mistake((section,), f"is none of tenant, {', '.join(sorted(known))}"))
        elif value is not None and not isinstance(value, list):
            mistakes.append(document.mistake((section,), "must be a list"))
        else:
            company[section] = [{} for _ in value or ()]
            for index, item in enumerate(value or ()):
                mistakes += check_resource(document, known[section], item, (section, index), company[section][index])
    if mistakes:
        raise BadCompany(document.name, sorted(mistakes, key=lambda mistake: mistake.line))
    return company


def proto_json(value: Any, field: FieldDescriptor) -> Any:
    """The models' JSON as protobuf's JSON: `parallel` becomes `RING_STRATEGY_PARALLEL`, all the way down."""
    if isinstance(value, list):
        return [proto_json(item, field) for item in value]
    if field.enum_type is not None:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        return prefix + str(value).upper()
    if field.message_type is not None and isinstance(value, dict):
        return {
            key: proto_json(inner, field.message_type.fields_by_name[key]) if key in field.message_type.fields_by_name else inner
            for key, inner in value.items()
        }
    return value


def request(company: Mapping[str, Any]) -> directory_pb2.ApplyTenantRequest:
    """The directory's request. Raises `CliError` when a model has a field that the contract lacks."""
    fields = directory_pb2.ApplyTenantRequest.DESCRIPTOR.fields_by_name
    try:
        return ParseDict({key: proto_json(value, fields[key]) for key, value in company.items()}, directory_pb2.ApplyTenantRequest())
    except (ParseError, KeyError) as error:
        raise CliError(f"the file does not fit the directory's contract: {error}") from error


def load(text: str, name: str) -> tuple[Document, dict[str, Any]]:
    """Read and check. Raises `BadCompany`."""
    if len(text) > MAX_BYTES:
        raise BadCompany(name, [Mistake(1, "", f"larger than {MAX_BYTES} bytes")])
    document = parse(text, name)
    return document, check(document)


def document(message: Message) -> dict[str, Any]:
    """A message's fields that are set, as the models' JSON; the opposite of `proto_json`."""
    return {field.name: _plain(field, value) for field, value in message.ListFields()}


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if field.is_repeated:
        return [_plain_item(field, item) for item in value]
    return _plain_item(field, value)


def _plain_item(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return document(value)
    if field.enum_type is not None:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        return field.enum_type.values_by_number[value].name.removeprefix(prefix).lower()
    return value


def normal_resource(kind: type[Resource], given: Mapping[str, Any]) -> dict[str, Any]:
    """One resource in its one form. Raises `CliError` when it is of a later version of the directory."""
    left = OUTPUT_ONLY.union(SECRET_FIELDS.get(kind.KIND, ()))
    try:
        resource = kind.model_validate({name: value for name, value in given.items() if name not in left})
    except ValidationError as error:
        raise CliError(f"{kind.KIND} {given.get('id')!r} is not as this command knows it: {error.errors()[0]['msg']}") from error
    return resource.model_dump(mode="json", exclude_defaults=True, exclude_none=True)


def normal(company: Mapping[str, Any]) -> dict[str, Any]:
    """A company (as `check` gives it) in its one form."""
    found: dict[str, Any] = {}
    for kind in RESOURCES.values():
        if kind is Tenant:
            found |= {"tenant": normal_resource(kind, company["tenant"])} if company.get("tenant") else {}
        elif company.get(kind.PLURAL):
            found[kind.PLURAL] = sorted((normal_resource(kind, each) for each in company[kind.PLURAL]), key=lambda each: str(each["id"]))
    return found


def written(value: Any) -> str:
    """As YAML: lists and fields of single values on one line."""
    return yaml.dump(value, Dumper=_DUMPER, default_flow_style=None, allow_unicode=True, sort_keys=False, width=140)
