"""`docs/api-reference.md` from `proto/`: services with what their rpcs do, a request for each (`proto/examples.yaml`), and the messages."""

import importlib.util
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import descriptor_pb2 as pb
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
EXAMPLES = PROTO / "examples.yaml"
Rights = Mapping[str, frozenset[str]]
ROLES = ("operator", "reseller", "admin", "department_admin", "user", "service")
#: Those that every kind of resource has.
USUAL = ("Get", "List", "Create", "Update", "Delete")
#: Numbers of fields in descriptor.proto, which the paths of comments are made of.
_MESSAGE, _ENUM, _SERVICE, _FIELD, _NESTED, _INNER_ENUM, _VALUE, _METHOD = 4, 5, 6, 2, 3, 4, 2, 2
_SCALARS = {number: name.removeprefix("TYPE_").lower() for name, number in pb.FieldDescriptorProto.Type.items()}
_HEAD = """# API reference

Made of `proto/` by `make docs`; [api.md](api.md) says how to call it. Each rpc is named with a request in the JSON form of proto, as
grpcurl and Connect take it; several requests are those of a stream. The examples are of the company of `carillon up --demo`; calls' ids
are made up. Every kind of resource has the same five rpcs, whose requests and answers look alike: only the resource is told.

**Who** may call an rpc is what `tests/integration/test_every_rpc.py` asks the running system with tokens of every role: `operator`,
`reseller`, `admin`, `department_admin` (of what is in reach), `user` (of what is theirs), `service` (our own processes). A rights profile
narrows what the directory serves, kind by kind; `record`, `recording`, `message` and `live_call` are opened by a profile that names them,
and by nothing else.

**Errors** are gRPC's codes with `google.rpc` details, and nothing was changed:

| code | when | details |
|---|---|---|
| `UNAUTHENTICATED` | no token, or none that is valid; a wrong login, password or code | |
| `PERMISSION_DENIED` | the role, the rights profile, another tenant, out of the department's reach, not a user's own to change | |
| `INVALID_ARGUMENT` | fields that do not do | `BadRequest`: each field's path with the reason |
| `NOT_FOUND` | there is no such thing, or it is not the caller's to see | |
| `ALREADY_EXISTS` | the id is taken | |
| `ABORTED` | the etag is not the current one: read again | |
| `FAILED_PRECONDITION` | others refer to it, a clash, more than was sold, in no state for it | `PreconditionFailure`: subject, reason |
| `RESOURCE_EXHAUSTED` | a message is larger than it may be; a watcher does not keep up with what it is told | |
| `UNAVAILABLE` | a service that is needed is away, or the tenant is written to by too many at once: try again | |
"""


@dataclass(frozen=True, slots=True)
class Rpc:
    """An rpc with its comment; `usual`: one of the five, of this resource (`User`)."""

    package: str
    service: str
    name: str
    comment: str
    request: str
    answer: str
    #: Where it is written: `carillon/directory/v1/user.proto`.
    file: str
    usual: str = ""

    @property
    def full_name(self) -> str:
        """`carillon.directory.v1.UserService/GetUser`"""
        return f"{self.package}.{self.service}/{self.name}"


@dataclass(frozen=True, slots=True)
class File:
    """A proto file and its comments by path."""

    proto: pb.FileDescriptorProto
    comments: Mapping[tuple[int, ...], str]

    def rpcs(self) -> Iterator[Rpc]:
        """Those of its services, in order."""
        messages = {message.name for message in self.proto.message_type}
        for number, service in enumerate(self.proto.service):
            noun = service.name.removesuffix("Service")
            for place, method in enumerate(service.method):
                comment = self.comments.get((_SERVICE, number, _METHOD, place), "")
                request, answer = _short(method.input_type), _short(method.output_type)
                usual = noun in messages and _is_usual(method.name, noun) and answer == f"{method.name}Response"
                yield Rpc(self.proto.package, service.name, method.name, comment, request, answer, self.proto.name, noun if usual else "")


def _is_usual(name: str, noun: str) -> bool:
    """`GetUser` of `User`; plurals differ at their end."""
    return name in [f"{verb}{noun}" for verb in USUAL] or name.startswith(f"List{noun[:-1]}")


def read() -> list[File]:
    """Every file of `proto/`, by name."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "all.binpb"
        paths = [f"--proto_path={PROTO}", f"--proto_path={files('grpc_tools') / '_proto'}"]
        if protoc.main(["protoc", *paths, "--include_source_info", f"--descriptor_set_out={out}", *sources]) != 0:
            raise SystemExit("protoc failed; see above")
        found = pb.FileDescriptorSet.FromString(out.read_bytes())
    return [File(file, _comments(file)) for file in found.file]


def _comments(file: pb.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    where = ((location, location.leading_comments or location.trailing_comments) for location in file.source_code_info.location)
    return {tuple(location.path): " ".join(text.split()) for location, text in where if text}


def examples(rpcs: list[Rpc]) -> dict[str, list[dict[str, Any]]]:
    """Full name of an rpc -> the requests of its example, one unless it takes a stream. Those that have none are not there."""
    document = yaml.safe_load(EXAMPLES.read_text(encoding="utf-8"))
    written = {
        f"{package}.{service}/{name}": request if isinstance(request, list) else [request]
        for package, services in document["verbs"].items()
        for service, requests in services.items()
        for name, request in requests.items()
    }
    resources = document["resources"]
    usual = {rpc.full_name: [_usual(rpc, resources[rpc.usual])] for rpc in rpcs if rpc.usual in resources}
    known = {rpc.full_name for rpc in rpcs}
    if unknown := sorted({*written} - known) + sorted({*resources} - {rpc.usual for rpc in rpcs}):
        raise SystemExit(f"proto/examples.yaml: no such rpc or resource: {', '.join(unknown)}")
    return usual | written


def _usual(rpc: Rpc, resource: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    field = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in rpc.usual).lstrip("_")
    resource_id = resource["create"]["id"]
    changed = resource["update"]
    match next(verb for verb in USUAL if rpc.name.startswith(verb)):
        case "Create":
            return {field: resource["create"]}
        case "Update":
            return {field: {"id": resource_id, **changed}, "update_mask": ",".join(map(_lower_camel, changed))}
        case "List":
            return {"page_size": 50}
        case _:
            return {"id": resource_id}


def _lower_camel(name: str) -> str:
    """As a FieldMask in JSON wants it: `ringSeconds`."""
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)


def reference() -> str:
    """The page."""
    found = read()
    rpcs = {file.proto.name: list(file.rpcs()) for file in found}
    every = [rpc for listed in rpcs.values() for rpc in listed]
    requests = examples(every)
    rights = _rights()
    usual = {name for rpc in every if rpc.usual for name in (rpc.request, rpc.answer)}
    lines = [_HEAD]
    packages = sorted({file.proto.package for file in found})
    for package in packages:
        lines.append(f"## {package}\n")
        for file in found:
            if file.proto.package == package:
                lines += _file(file, rpcs[file.proto.name], requests, usual, rights)
    return "\n".join(lines).rstrip("\n") + "\n"


def _file(file: File, rpcs: list[Rpc], requests: Mapping[str, list[dict[str, Any]]], usual: set[str], rights: Rights) -> Iterator[str]:
    for number, service in enumerate(file.proto.service):
        yield f"### {service.name}\n"
        own = file.comments.get((_SERVICE, number)) or file.comments.get((12,), "")
        yield from [f"{own}\n"] if own else []
        of_it = [rpc for rpc in rpcs if rpc.service == service.name]
        told = [f"* `{rpc.name}`: {_after_name(rpc)}" for rpc in of_it if rpc.comment]
        yield from [*told, ""] if told else []
        yield from _who(of_it, rights)
        width = max(len(rpc.name) for rpc in of_it)
        yield "```"
        for rpc in of_it:
            for request in requests.get(rpc.full_name, []):
                yield f"{rpc.name:{width}} {json.dumps(request, ensure_ascii=False)}"
        yield "```\n"
    for number, message in enumerate(file.proto.message_type):
        if message.name not in usual:
            yield from _message(file, message, (_MESSAGE, number), message.name)
    for number, enum in enumerate(file.proto.enum_type):
        yield from _enum(file, enum, (_ENUM, number), enum.name)


def _who(rpcs: list[Rpc], rights: Rights) -> Iterator[str]:
    """Who may call which, those with the same callers together."""
    groups: dict[str, list[str]] = {}
    for rpc in rpcs:
        allowed = rights.get(rpc.full_name)
        if allowed is None:
            raise SystemExit(f"tests/integration/test_every_rpc.py does not say who may call {rpc.full_name}")
        told = "no token is needed" if "nobody" in allowed else ", ".join(role for role in ROLES if role in allowed)
        groups.setdefault(told, []).append(f"`{rpc.name}`")
    if len(groups) == 1:
        yield f"Who: {next(iter(groups))}.\n"
    else:
        told_of = [f"{told} ({', '.join(names)})" for told, names in groups.items()]
        yield f"Who: {'; '.join(told_of)}.\n"


def _rights() -> Rights:
    """Full name of each rpc -> roles that may call it, of the table that the running system is held to."""
    sys.path.insert(0, str(ROOT / "tests/support"))
    spec = importlib.util.spec_from_file_location("every_rpc", ROOT / "tests/integration/test_every_rpc.py")
    assert spec is not None
    assert spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    found: dict[str, frozenset[str]] = {}
    for of_process in table.RIGHTS.values():
        for name, who in of_process.items():
            found[name] = found.get(name, frozenset()) | who
    return found


def _after_name(rpc: Rpc) -> str:
    return rpc.comment.removeprefix(f"{rpc.name} ")


def _message(file: File, message: pb.DescriptorProto, path: tuple[int, ...], name: str) -> Iterator[str]:
    if not message.field or message.options.map_entry:
        return
    comment = file.comments.get(path, "")
    yield f"**{name}**{f': {comment}' if comment else ''}\n"
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    for number, field in enumerate(message.field):
        told = file.comments.get((*path, _FIELD, number), "")
        one = (
            f", one of `{message.oneof_decl[field.oneof_index].name}`"
            if field.HasField("oneof_index") and not field.proto3_optional
            else ""
        )
        yield f"* `{field.name}` {_type(field, entries)}{one}{f': {told}' if told else ''}"
    yield ""
    for number, nested in enumerate(message.nested_type):
        yield from _message(file, nested, (*path, _NESTED, number), f"{name}.{nested.name}")
    for number, enum in enumerate(message.enum_type):
        yield from _enum(file, enum, (*path, _INNER_ENUM, number), f"{name}.{enum.name}")


def _enum(file: File, enum: pb.EnumDescriptorProto, path: tuple[int, ...], name: str) -> Iterator[str]:
    comment = file.comments.get(path, "")
    yield f"**{name}**{f': {comment}' if comment else ''}\n"
    for number, value in enumerate(enum.value):
        if value.number:
            told = file.comments.get((*path, _VALUE, number), "")
            yield f"* `{value.name}`{f': {told}' if told else ''}"
    yield ""


def _type(field: pb.FieldDescriptorProto, entries: Mapping[str, pb.DescriptorProto]) -> str:
    name = _short(field.type_name) if field.type_name else _SCALARS[field.type]
    if entry := entries.get(name):
        key, value = (_type(each, {}) for each in entry.field)
        return f"map of {key} to {value}"
    many = field.label == pb.FieldDescriptorProto.LABEL_REPEATED
    return f"repeated {name}" if many else f"optional {name}" if field.proto3_optional else name


def _short(name: str) -> str:
    """`.carillon.directory.v1.User` as `User`; the names of others in full."""
    whole = name.removeprefix(".")
    return whole.rpartition(".")[2] if whole.startswith("carillon.") else whole
