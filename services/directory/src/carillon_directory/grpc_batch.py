"""The service of batch.proto: requests of the kinds' own services, packed, become one command, and their answers."""

import asyncio
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError, Message

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.batch_pb2_grpc import BatchServiceServicer
from carillon_directory.domain.commands import Batch, CreateResource, DeleteResource, UpdateResource
from carillon_directory.grpc_common import applied, bounds_of, execute
from carillon_directory.grpc_findings import warnings_of_all
from carillon_directory.handlers import Directory, Executed
from carillon_kit.errors import InvalidArgument
from carillon_kit.grpc_server import current_principal, current_tenant

_MOST = 1000
_PREFIX = "carillon.directory.v1."
_Item = CreateResource | UpdateResource | DeleteResource


class Servicer(Protocol):
    """What a kind's own service makes of its requests, and how it answers."""

    async def create_command(self, request: Any) -> CreateResource:
        """Raises `InvalidArgument`."""

    async def update_command(self, request: Any) -> UpdateResource:
        """Raises `InvalidArgument`."""

    async def delete_command(self, request: Any) -> DeleteResource:
        """Of a deletion."""

    def written(self, verb: str, executed: Executed, resource_id: str) -> Message:
        """The answer to a creation or update."""


class Above(Protocol):
    """The same above the tenants."""

    async def apply(self, request: pb.ApplyInstallationBatchRequest) -> pb.ApplyInstallationBatchResponse:
        """All or none."""


class BatchServicer(BatchServiceServicer):
    """See batch.proto; `servicers` by noun (`RingGroup`)."""

    def __init__(self, directory: Directory, servicers: Mapping[str, Servicer], above: Above) -> None:
        self._directory = directory
        self._servicers = servicers
        self._above = above

    async def ApplyInstallationBatch(self, request: pb.ApplyInstallationBatchRequest, context: object) -> pb.ApplyInstallationBatchResponse:
        """All or none."""
        return await self._above.apply(request)

    async def ApplyBatch(self, request: pb.ApplyBatchRequest, context: object) -> pb.ApplyBatchResponse:
        """All or none."""
        if not 1 <= len(request.requests) <= _MOST:
            raise InvalidArgument({"requests": f"must be 1 to {_MOST}"})
        principal = current_principal()
        items = [await self._item(each, f"requests[{number}]") for number, each in enumerate(request.requests)]
        command = Batch(
            actor=principal.subject, bounds=bounds_of(principal), reason=request.reason, items=tuple(item for _, _, item in items)
        )
        executed = await execute(self._directory, current_tenant(), command, dry_run=request.dry_run)
        answers = [] if request.dry_run else [self._answer(verb, noun, item, executed) for verb, noun, item in items]
        return pb.ApplyBatchResponse(
            responses=packed(answers),
            changes=applied(executed.changes),
            config_seq=executed.config.seq,
            warnings=await asyncio.to_thread(lambda: list(warnings_of_all(executed))),
        )

    async def _item(self, box: Packed, place: str) -> tuple[str, str, _Item]:
        """(verb, noun, what the kind's own service would ask); raises `InvalidArgument` with fields below `place`."""
        verb, noun, request = unpacked(box, place, self._servicers)
        with below(place):
            item: _Item = await getattr(self._servicers[noun], f"{verb.lower()}_command")(request)
        return verb, noun, item

    def _answer(self, verb: str, noun: str, item: _Item, executed: Executed) -> Message:
        """As the kind's own service; of what another request of the batch deletes, nothing is shown."""
        resource_id = str(item.document["id"]) if isinstance(item, CreateResource) else item.resource_id
        if isinstance(item, DeleteResource) or resource_id not in executed.config.resources.get(item.kind, {}):
            empty: Message = getattr(pb, f"{verb}{noun}Response")()
            return empty
        return self._servicers[noun].written(verb, executed, resource_id)


def unpacked(box: Packed, place: str, nouns: Container[str]) -> tuple[str, str, Any]:
    """Verb, noun and request of what stands in a batch at `place`; raises `InvalidArgument` for what is none of the nouns' requests."""
    name = box.TypeName().removeprefix(_PREFIX).removesuffix("Request")
    verb, noun = name[:6], name[6:]
    if verb not in ("Create", "Update", "Delete") or noun not in nouns or box.TypeName() != f"{_PREFIX}{name}Request":
        raise InvalidArgument({f"{place}.@type": f"{box.type_url[:100]!r} is no Create, Update or Delete request of a kind of resource"})
    request = getattr(pb, f"{name}Request")()
    try:
        request.MergeFromString(box.value)
    except DecodeError as error:
        raise InvalidArgument({place: f"is no {name}Request"}) from error
    if request.reason:
        raise InvalidArgument({f"{place}.reason": "is given for the whole batch"})
    return verb, noun, request


@contextmanager
def below(place: str) -> Iterator[None]:
    """Fields of what is refused inside are below `place`."""
    try:
        yield
    except InvalidArgument as error:
        raise InvalidArgument({f"{place}.{field}": reason for field, reason in error.violations.items()}) from error


def packed(messages: Iterable[Message]) -> list[Packed]:
    """Each in a box of its own."""
    boxes = []
    for message in messages:
        box = Packed()
        box.Pack(message)
        boxes.append(box)
    return boxes
