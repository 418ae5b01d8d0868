"""The examples of the API reference: each is a request that there is; those of resources are sent to a company with what they name."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

import api_reference
import grpc.aio
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1 import import_pb2_grpc
from carillon_contracts.config import RESOURCES
from carillon_directory.adapters.proto_mapping import to_message

#: Of the example company, so that changes of it cannot clash with what the examples make.
NAMED: dict[str, Any] = {
    "tenant": {"id": "dupont", "realm": "dupont.example"},
    "users": [{"id": name, "last_name": name.capitalize()} for name in ("alain", "bernard", "david", "dumas", "elise")],
    "ring_groups": [{"id": "sales", "members": [{"user_id": "elise"}]}],
    "numbers": [{"id": "+41215550100", "destination": {"user_id": "dumas"}}],
}

pytestmark = pytest.mark.feature("P-1")


@pytest.fixture(scope="module")
def rpcs() -> dict[str, api_reference.Rpc]:
    """By full name."""
    return {rpc.full_name: rpc for file in api_reference.read() for rpc in file.rpcs()}


@pytest.fixture(scope="module")
def requests(rpcs: dict[str, api_reference.Rpc]) -> dict[str, list[Message]]:
    """Parsed, by full name; a field or a value that there is not raises."""
    found = api_reference.examples(list(rpcs.values()))
    return {name: [_parsed(rpcs[name], request) for request in listed] for name, listed in found.items()}


def _parsed(rpc: api_reference.Rpc, request: dict[str, Any]) -> Message:
    module = rpc.file.removesuffix(".proto").replace("/", ".") + "_pb2"
    message: Message = getattr(import_module(module), rpc.request)()
    return json_format.ParseDict(request, message)


def test_every_kind_of_resource_has_examples(requests: dict[str, list[Message]]) -> None:
    kinds = {f"carillon.directory.v1.{_camel(kind)}Service/Create{_camel(kind)}" for kind in RESOURCES}
    assert kinds <= set(requests)


def test_every_rpc_has_an_example(rpcs: dict[str, api_reference.Rpc], requests: dict[str, list[Message]]) -> None:
    assert sorted(set(rpcs) - set(requests)) == []


async def test_the_examples_of_resources_are_accepted_one_after_the_other(
    port: int,
    client: Callable[..., grpc.aio.Channel],
    rpcs: dict[str, api_reference.Rpc],
    requests: dict[str, list[Message]],
) -> None:
    channel = client(port, "operator", "dupont")
    await import_pb2_grpc.ImportServiceStub(channel).ApplyTenant(to_message(NAMED, pb.ApplyTenantRequest))
    nouns = [_camel(kind) for kind in RESOURCES if kind != "tenant"]
    refused: list[str] = []
    for verbs in (("Create", "Get", "List", "Update"), ("Delete",)):
        for noun in reversed(nouns) if verbs == ("Delete",) else nouns:
            of_it = {rpc.name: rpc for rpc in rpcs.values() if rpc.usual == noun}
            for name in (name for verb in verbs for name in of_it if name.startswith(verb)):
                refused += await _refusal(channel, of_it[name], requests[of_it[name].full_name][0])
    if refused:
        pytest.fail("\n".join(refused))


async def _refusal(channel: grpc.aio.Channel, rpc: api_reference.Rpc, request: Message) -> list[str]:
    call = channel.unary_unary(f"/{rpc.full_name}", request_serializer=type(request).SerializeToString, response_deserializer=bytes)
    try:
        await asyncio.wait_for(call(request), 30)
    except grpc.aio.AioRpcError as error:
        return [f"{rpc.full_name}: {error.code()} {error.details()}"]
    return []


def _camel(kind: str) -> str:
    return "".join(part.capitalize() for part in kind.split("_"))
