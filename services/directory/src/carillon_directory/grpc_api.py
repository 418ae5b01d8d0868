"""The admin API: one generic servicer for every kind of resource, and small ones for tenants, history and whole companies.

The tenant is the token's (or the operator's metadata), never a field of a request; a refusal of the domain becomes the rich error that
names its fields.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from threading import Lock
from typing import Any, TypeVar, cast

from google.protobuf.message import Message
from pydantic import JsonValue

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.reseller_pb2_grpc import add_ResellerServiceServicer_to_server
from carillon_contracts.config import RESOURCES, Contact, Extension, Number, NumberBlock, Plan, Resource, Schedule, Tenant, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.proto_mapping import to_document, to_message
from carillon_directory.adapters.public_holidays import holidays_of
from carillon_directory.adapters.secrets_in import SecretsIn
from carillon_directory.adapters.tenant_log import PostgresTenantLog
from carillon_directory.domain import lists
from carillon_directory.domain.blocks import in_use
from carillon_directory.domain.bounds import sees_account_code
from carillon_directory.domain.columns import Columns
from carillon_directory.domain.commands import CreateResource, DeleteResource, UpdateResource
from carillon_directory.domain.documents import dump
from carillon_directory.domain.internal_contacts import InternalContact, Made
from carillon_directory.domain.orders import MANY, Orders
from carillon_directory.domain.short_numbers import contact_numbers, short_numbers
from carillon_directory.grpc_batch import BatchServicer, below
from carillon_directory.grpc_common import (
    PASSWORD_BYTES,
    bounds_of,
    clashes_of,
    execute,
    moment_of,
    or_raise,
    paths_of,
    position_of,
    reach_of,
    required,
    resource_of,
)
from carillon_directory.grpc_findings import WARNED, PlanChecks, saved_warnings
from carillon_directory.grpc_history import HistoryServicer
from carillon_directory.grpc_import import ImportServicer
from carillon_directory.grpc_installation import InstallationBatch
from carillon_directory.grpc_plans import PlanVerbs
from carillon_directory.grpc_resellers import RESELLER_RIGHTS, ResellerServicer
from carillon_directory.grpc_tenants import SELLERS, OwnTenant, Sold
from carillon_directory.grpc_verbs import Logins, Verb, Verbs
from carillon_directory.handlers import Directory, Executed, Moment
from carillon_directory.orders_ahead import OrdersAhead
from carillon_directory.plan_lives import PlanLives
from carillon_kit import pages
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, USER
from carillon_kit.errors import InvalidArgument, NotFound
from carillon_kit.grpc_server import GrpcServer, current_principal, current_tenant
from carillon_kit.ids import Ids

T = TypeVar("T")
_PACKAGE = "carillon.directory.v1"
#: Places of all orders that are kept, at eight bytes each.
_KEPT = 2_000_000
#: Of holidays that a new schedule is made with; more are refused.
_MOST_YEARS = 20
_ADMINS = frozenset({str(OPERATOR), str(ADMIN)})
#: Who reaches a part of the tenant may too; see `bounds_of`.
_SCOPED = _ADMINS | {str(DEPARTMENT_ADMIN)}

#: What users do with what is theirs.
_OWN: Mapping[str, tuple[str, ...]] = {
    "user": ("Get", "List", "Update"),
    "mailbox": ("Get", "List", "Update"),
    "contact": ("Get", "List", "Create", "Update", "Delete"),
    **dict.fromkeys(("sip_credential", "device", "extension", "number"), ("Get", "List")),
}


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A kind of resource and the names that follow from it: `ring_group`, `RingGroup`, `RingGroups`."""

    model: type[Resource]

    @property
    def kind(self) -> str:
        """`ring_group`"""
        return self.model.KIND

    @property
    def noun(self) -> str:
        """`RingGroup`"""
        return _camel(self.model.KIND)

    @property
    def plural(self) -> str:
        """`RingGroups`"""
        return _camel(self.model.PLURAL)

    @property
    def message(self) -> type[Message]:
        """The resource's message."""
        message: type[Message] = getattr(pb, self.noun)
        return message

    def response(self, verb: str, **fields: Any) -> Message:
        """`GetRingGroupResponse(**fields)`"""
        noun = self.plural if verb == "List" else self.noun
        response: Message = getattr(pb, f"{verb}{noun}Response")(**fields)
        return response


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


class ResourceServicer:
    """Get, List, Create, Update and Delete of one kind of resource in the caller's tenant, and `more` rpcs that the kind has."""

    def __init__(
        self,
        kind: ResourceKind,
        directory: Directory,
        ids: Ids,
        secrets: SecretsIn,
        kept: lists.Kept,
        ahead: OrdersAhead,
        more: Mapping[str, Verb],
    ) -> None:
        self._ahead = ahead
        self._kind = kind
        self._directory = directory
        self._ids = ids
        self._secrets = secrets
        self._kept = kept
        verbs = {"Get": self.get, "Create": self.create, "Update": self.update, "Delete": self.delete}
        self.methods = {f"{verb}{kind.noun}": method for verb, method in verbs.items()} | {f"List{kind.plural}": self.list, **more}
        for name, method in self.methods.items():
            setattr(self, name, method)

    async def get(self, request: Any, context: object) -> Message:
        """One resource, as of a moment."""
        moment = moment_of(request)
        if moment is not None and bounds_of(current_principal()).whole and self._kind.model is not NumberBlock:
            found = or_raise(await self._directory.read_one(current_tenant(), self._kind.kind, request.id, moment))
            if found is None:
                raise NotFound(f"{self._kind.kind} {request.id!r}")
            return self._kind.response("Get", **{self._kind.kind: to_message(dump(found), self._kind.message)})
        config = or_raise(await self._directory.read(current_tenant(), moment))
        resource = resource_of(config, self._kind.kind, request.id)
        if not reach_of(config).covers(resource):
            raise NotFound(f"{self._kind.kind} {request.id!r}")
        return self._kind.response("Get", **{self._kind.kind: self._message(config, resource)})

    async def list(self, request: Any, context: object) -> Message:
        """A page by id; later pages show the same version of the configuration as the first."""
        tenant_id = current_tenant()
        query = _query(request)
        position = position_of(request.page_token, {"seq": int, "after": str, "skip": int, "query": str})
        if position and position["query"] != _fingerprint(query):
            raise InvalidArgument({"page_token": "is of a list with another filter, order or scope"})
        moment = position["seq"] if position else moment_of(request)
        config = await self._listed(tenant_id, moment)
        size, skip = pages.page_size(request.page_size), position.get("skip", 0)
        listing = partial(lists.page, config, self._kind.model, query, reach_of(config), size, position.get("after", ""), skip, self._kept)
        many = len(config.resources.get(self._kind.kind, {})) > MANY
        try:
            page, more = await asyncio.to_thread(listing) if many else listing()
            if self._kept.orders.missed:
                self._ahead.missed()
        except lists.BadQuery as error:
            raise InvalidArgument({error.field: str(error)}) from error
        next_position = {"seq": config.seq, "after": page[-1].id, "skip": skip + size, "query": _fingerprint(query)} if more else {}
        token = pages.encode_token(next_position) if more else ""
        messages = [self._message(config, each) for each in page]
        return self._kind.response("List", next_page_token=token, **{self._kind.model.PLURAL: messages})

    async def _listed(self, tenant_id: str, moment: Moment) -> TenantConfig:
        """The configuration that is listed from."""
        return or_raise(await self._directory.read(tenant_id, moment))

    async def create(self, request: Any, context: object) -> Message:
        """A new resource; a credential's password is shown if it was made here."""
        executed = await execute(self._directory, current_tenant(), await self.create_command(request))
        return self.written("Create", executed, getattr(request, self._kind.kind).id)

    async def update(self, request: Any, context: object) -> Message:
        """The fields of the mask."""
        executed = await execute(self._directory, current_tenant(), await self.update_command(request))
        return self.written("Update", executed, getattr(request, self._kind.kind).id)

    async def delete(self, request: Any, context: object) -> Message:
        """Unless something refers to it."""
        await execute(self._directory, current_tenant(), await self.delete_command(request))
        return self._kind.response("Delete")

    async def create_command(self, request: Any) -> CreateResource:
        """What `create` asks of the directory; raises `InvalidArgument`."""
        message = required(request, self._kind.kind)
        return CreateResource(
            actor=current_principal().subject,
            bounds=bounds_of(current_principal()),
            reason=request.reason,
            kind=self._kind.kind,
            document=await asyncio.to_thread(self._secrets.sealed, current_tenant(), self._kind.kind, to_document(message)),
            spare_password=self._ids.token(PASSWORD_BYTES),
        )

    async def update_command(self, request: Any) -> UpdateResource:
        """What `update` asks of the directory; raises `InvalidArgument`."""
        message = required(request, self._kind.kind)
        command = _update(self._kind.kind, request, message, spare_password=self._ids.token(PASSWORD_BYTES))
        return await asyncio.to_thread(self._secrets.sealed_update, current_tenant(), command)

    async def delete_command(self, request: Any) -> DeleteResource:
        """What `delete` asks of the directory."""
        return DeleteResource(
            actor=current_principal().subject,
            bounds=bounds_of(current_principal()),
            reason=request.reason,
            kind=self._kind.kind,
            resource_id=request.id,
            etag=request.etag,
        )

    def written(self, verb: str, executed: Executed, resource_id: str) -> Message:
        """The answer to `create` and `update`; a password made for a credential is in it."""
        resource = resource_of(executed.config, self._kind.kind, resource_id)
        message = self._message(executed.config, resource)
        if resource_id in executed.passwords and isinstance(message, pb.SipCredential):
            message.password = executed.passwords[resource_id]
        response: Any = self._kind.response(verb, **{self._kind.kind: message})
        if self._kind.model in WARNED:
            response.warnings.extend(saved_warnings(executed.config, resource))
        if isinstance(resource, Number):
            wanted = short_numbers(executed.config, resource.id)
            found = (executed.config.extensions.get(digits) for digits in wanted)
            response.short_numbers.extend(sorted(each.id for each in found if each is not None and each.number_id == resource.id))
            response.clashes.extend(_clashes(executed, wanted))
        if isinstance(resource, Contact) and verb == "Create" and not resource.short_number and not resource.owner_user_id:
            wanted = contact_numbers(executed.config, resource.phone or resource.mobile)
            response.clashes.extend(_clashes(executed, wanted))
        return cast(Message, response)

    def _message(self, config: TenantConfig, resource: Resource) -> Message:
        message = to_message(dump(resource), self._kind.message)
        if isinstance(resource, NumberBlock) and isinstance(message, pb.NumberBlock):
            message.size, message.in_use = resource.size, in_use(resource, config.numbers)
        if isinstance(resource, User) and not sees_account_code(config, bounds_of(current_principal()), resource):
            message.ClearField("account_code")
        return message


class Schedules(ResourceServicer):
    """Of which a new one may have the public holidays of some years from the beginning, and no usual hours."""

    async def create_command(self, request: Any) -> CreateResource:
        command = replace(await super().create_command(request), usual_hours=not request.without_usual_hours)
        if not request.holidays_of:
            return command
        tenant = or_raise(await self._directory.read(current_tenant())).tenant
        given = cast(list[JsonValue], command.document.get("holidays", []))
        found: list[JsonValue] = [*given]
        if len(request.holidays_of) > _MOST_YEARS:
            raise InvalidArgument({"holidays_of": f"at most {_MOST_YEARS}"})
        for place, each in enumerate(request.holidays_of):
            with below(f"holidays_of[{place}]"):
                found += await asyncio.to_thread(holidays_of, each.country or tenant.country, each.region, each.year, tenant.language)
        return replace(command, document={**command.document, "holidays": found})


class InternalContacts(ResourceServicer):
    """The list of colleagues and groups, which are made of others' resources."""

    def __init__(self, directory: Directory, ids: Ids, secrets: SecretsIn, kept: lists.Kept, ahead: OrdersAhead) -> None:
        super().__init__(ResourceKind(InternalContact), directory, ids, secrets, kept, ahead, {})
        self._made = Made()

    async def _listed(self, tenant_id: str, moment: Moment) -> TenantConfig:
        return await asyncio.to_thread(self._made.of, await super()._listed(tenant_id, moment))


def add_services(
    server: GrpcServer,
    directory: Directory,
    ids: Ids,
    secrets: SecretsIn,
    lives: PlanLives,
    sold: Sold,
    logins: Logins,
    log: PostgresTenantLog,
) -> OrdersAhead:
    """Put every service of the package on the server, with the roles that may call it; `RingGroupService` is in `ring_group.proto`.

    What is given back works beside them until it is closed."""
    sellers = ResellerServicer(directory, sold.resellers)
    server.add(add_ResellerServiceServicer_to_server, sellers, f"{_PACKAGE}.ResellerService", RESELLER_RIGHTS)
    special: Sequence[tuple[str, Any, frozenset[str]]] = (
        ("HistoryService", HistoryServicer(directory), _ADMINS),
        ("ImportService", ImportServicer(directory, ids, secrets, sold.resellers), _ADMINS),
    )
    verbs: dict[str, Mapping[str, Verb]] = {
        **Verbs(directory, ids, logins).by_kind,
        Plan.KIND: PlanVerbs(lives, PlanChecks(directory)).by_name,
    }
    generic = [ResourceKind(model) for model in RESOURCES.values() if model is not Tenant]
    kept = lists.Kept(Orders(_KEPT, lock=Lock()), Columns(lock=Lock()))
    ahead = OrdersAhead(kept.orders)
    directory.tell_of_many(ahead.usual)
    internal = InternalContacts(directory, ids, secrets, kept, ahead)
    verbs[Contact.KIND] = {"ListInternalContacts": internal.list}
    servicers = {
        kind.noun: (Schedules if kind.model is Schedule else ResourceServicer)(
            kind, directory, ids, secrets, kept, ahead, verbs.get(kind.kind, {})
        )
        for kind in generic
    }
    batch = ("BatchService", BatchServicer(directory, {**servicers, "Tenant": OwnTenant()}, InstallationBatch(sold, log)), _SCOPED)
    services = [*special, batch, *((f"{noun}Service", servicer, _SCOPED) for noun, servicer in servicers.items())]
    # What happened to what a department's admin sees, they see.
    scoped = {"ListChanges"}
    own = {f"{verb}{kind.plural if verb == 'List' else kind.noun}" for kind in generic for verb in _OWN.get(kind.kind, ())}
    own.add("ListInternalContacts")
    for name, servicer, roles in services:
        file = _snake(name.removesuffix("Service"))
        methods = import_module(f"{_PACKAGE}.{file}_pb2").DESCRIPTOR.services_by_name[name].methods
        add = getattr(import_module(f"{_PACKAGE}.{file}_pb2_grpc"), f"add_{name}Servicer_to_server")
        rights = {method.name: _SCOPED if method.name in scoped else roles for method in methods}
        rights |= {name: roles | {str(USER)} for name in rights.keys() & own}
        rights |= dict.fromkeys(rights.keys() & {"ApplyInstallationBatch"}, SELLERS)
        server.add(add, servicer, f"{_PACKAGE}.{name}", rights)
    return ahead


def _update(kind: str, request: Any, message: Any, spare_password: str = "") -> UpdateResource:
    return UpdateResource(
        actor=current_principal().subject,
        bounds=bounds_of(current_principal()),
        reason=request.reason,
        kind=kind,
        resource_id=message.id,
        document=to_document(message),
        paths=paths_of(request, message),
        etag=message.etag,
        spare_password=spare_password,
    )


def _clashes(executed: Executed, digits: Iterable[str]) -> list[pb.ShortNumberClash]:
    subjects = {f"{Extension.KIND}/{each}" for each in digits}
    return clashes_of(each for each in executed.remarks if each[0] in subjects)


def _query(request: Any) -> lists.Query:
    scope = request.scope
    return lists.Query(request.filter, request.order_by, scope.department_id, scope.site_id, scope.with_below)


def _fingerprint(query: lists.Query) -> str:
    return hashlib.sha256(repr(query).encode()).hexdigest()[:16]
