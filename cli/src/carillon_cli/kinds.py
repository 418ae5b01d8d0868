"""Kinds of resources by the names that people type, and the calls of their services."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import grpc.aio

from carillon.directory.v1 import directory_pb2 as pb
from carillon_cli.errors import CliError
from carillon_contracts.config import RESOURCES, Resource, Tenant


@dataclass(frozen=True, slots=True)
class Kind:
    """`ring_group`, `RingGroup`, `RingGroups` of one model."""

    model: type[Resource]

    @property
    def noun(self) -> str:
        """`RingGroup`"""
        return _camel(self.model.KIND)

    @property
    def plural(self) -> str:
        """`RingGroups`"""
        return _camel(self.model.PLURAL)

    def request(self, verb: str, **fields: Any) -> Any:
        """`GetRingGroupRequest(**fields)`"""
        return getattr(pb, f"{verb}{self.plural if verb == 'List' else self.noun}Request")(**fields)

    def call(self, verb: str, channel: grpc.aio.Channel) -> Any:
        """The call of the kind's service."""
        services = import_module(f"carillon.directory.v1.{self.model.KIND}_pb2_grpc")
        stub = getattr(services, f"{self.noun}ServiceStub")(channel)
        return getattr(stub, f"{verb}{self.plural if verb == 'List' else self.noun}")


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def kind_named(text: str, *, tenant: bool = False) -> Kind:
    """`user`, `users`, `ring-groups`, ...; raises `CliError`. `tenant`: that one too."""
    wanted = text.lower().replace("-", "_")
    for model in RESOURCES.values():
        if wanted in (model.KIND, model.PLURAL) and (tenant or model is not Tenant):
            return Kind(model)
    known = sorted(model.PLURAL for model in RESOURCES.values() if tenant or model is not Tenant)
    raise CliError(f"there is no kind {text!r}", f"Known: {', '.join(known)}.")
