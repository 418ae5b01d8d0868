"""What clients of the last release send and read still means the same. `make proto-lint` asks buf, by npm; this is Python alone."""

import gzip
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

import carillon

pytestmark = pytest.mark.feature("P-1")
RELEASED = Path(__file__).parents[4] / "proto/released.binpb.gz"
Named = DescriptorProto | EnumDescriptorProto


def now() -> dict[str, FileDescriptorProto]:
    found = {}
    for folder in map(Path, carillon.__path__):
        for file in sorted(folder.rglob("*_pb2.py")):
            descriptor = import_module(".".join(file.relative_to(folder.parent).with_suffix("").parts)).DESCRIPTOR
            found[descriptor.name] = FileDescriptorProto.FromString(descriptor.serialized_pb)
    return found


def then() -> dict[str, FileDescriptorProto]:
    released = FileDescriptorSet.FromString(gzip.decompress(RELEASED.read_bytes()))
    return {file.name: file for file in released.file if file.name.startswith("carillon/")}


def in_files(files: Iterable[FileDescriptorProto], kind: str) -> Iterator[tuple[str, Any]]:
    """Messages, enums or services by full name, also those inside messages."""

    def inside(name: str, message: DescriptorProto) -> Iterator[tuple[str, Named]]:
        yield from ((f"{name}.{each.name}", each) for each in message.enum_type if kind == "enum_type")
        if kind == "message_type":
            yield name, message
        for each in message.nested_type:
            yield from inside(f"{name}.{each.name}", each)

    for file in files:
        if kind != "message_type":
            yield from ((f"{file.package}.{each.name}", each) for each in getattr(file, kind))
        for message in file.message_type:
            yield from inside(f"{file.package}.{message.name}", message)


def told(field: FieldDescriptorProto) -> tuple[Any, ...]:
    return field.name, field.type, field.type_name, field.label


def called(method: MethodDescriptorProto | None) -> tuple[Any, ...] | None:
    return method and (method.input_type, method.output_type, method.client_streaming, method.server_streaming)


def reserved(old: Named, number: int, name: str) -> bool:
    """Of messages a range ends before its `end`, of enums with it."""
    last = 0 if isinstance(old, EnumDescriptorProto) else 1
    return any(each.start <= number <= each.end - last for each in old.reserved_range) and name in old.reserved_name


def changed(before: dict[str, FileDescriptorProto], after: dict[str, FileDescriptorProto]) -> list[str]:
    """What is not as it was."""
    faults = []
    for kind, numbered in (("message_type", "field"), ("enum_type", "value")):
        known = dict(in_files(after.values(), kind))
        for name, old in in_files(before.values(), kind):
            if name not in known:
                faults.append(f"{name} is gone")
                continue
            new = known[name]
            fields = {each.number: each for each in getattr(new, numbered)}
            for each in getattr(old, numbered):
                match = fields.get(each.number)
                if match is None and not reserved(new, each.number, each.name):
                    faults.append(f"{name}.{each.name} is gone, and its number {each.number} and name are not reserved")
                elif match is not None and (told(match) != told(each) if numbered == "field" else match.name != each.name):
                    faults.append(f"{name}.{each.name} ({each.number}) is another one")
    services = dict(in_files(after.values(), "service"))
    for name, old in in_files(before.values(), "service"):
        methods = {each.name: each for each in services[name].method} if name in services else {}
        faults += [f"{name}/{each.name} is another one, or gone" for each in old.method if called(methods.get(each.name)) != called(each)]
    return faults


def test_nothing_that_the_last_release_had_is_gone_or_means_something_else() -> None:
    before = then()
    assert len(before) > 50
    assert changed(before, now()) == []


def test_a_number_used_again_a_field_that_is_gone_and_another_type_are_found() -> None:
    before, after = then(), then()
    name = "carillon/directory/v1/extension.proto"
    message = next(each for each in after[name].message_type if each.name == "Extension")
    gone, other, again = message.field[0], message.field[1], message.field[2]
    other.type = FieldDescriptorProto.TYPE_INT32
    again.name = "something_new"
    expected = {gone.name, other.name}
    del message.field[0]
    faults = changed(before, after)
    assert len(faults) == 3
    assert all(any(f".Extension.{each}" in fault for fault in faults) for each in expected)
    after[name].service[0].method[0].output_type = ".carillon.directory.v1.Extension"
    assert any("ExtensionService/GetExtension" in fault for fault in changed(before, after))
