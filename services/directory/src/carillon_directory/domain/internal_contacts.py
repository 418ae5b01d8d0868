"""Colleagues and groups as contacts: nothing that anybody keeps, but what users, groups, extensions and numbers say at a version."""

from collections import OrderedDict
from collections.abc import Iterator
from types import MappingProxyType
from typing import ClassVar

from carillon_contracts.config import Departmental, Destination, HuntGroup, Queue, Resource, RingGroup, User
from carillon_contracts.sorted_map import SortedMap
from carillon_contracts.tenant_config import TenantConfig


class InternalContact(Departmental):
    """A user or group by whom it is called; the id is kind and id: `user/ann`."""

    KIND: ClassVar[str] = "internal_contact"
    PLURAL: ClassVar[str] = "internal_contacts"
    #: `user`, `ring_group`, `hunt_group`, `queue`.
    kind: str = ""
    resource_id: str = ""
    site_id: str = ""
    display_name: str = ""
    last_name: str = ""
    first_name: str = ""
    #: The tenant's name.
    company: str = ""
    function: str = ""
    email: str = ""
    #: The number outside that leads there, the lowest of several; empty: none.
    phone: str = ""
    mobile: str = ""
    #: Digits that lead there, short numbers among them, in order.
    extensions: tuple[str, ...] = ()


#: Nobody asks which fields were given; a set of its own is larger than the contact.
_GIVEN: set[str] = set()


class Made:
    """Configurations with their internal contacts, kept while a list is paged through: of one version for each of some tenants.

    Always: what is answered was made of the very configuration that is given, never of a version as it read before somebody was erased."""

    def __init__(self, capacity: int = 8) -> None:
        self._capacity = capacity
        #: By tenant: what it was made of, and what was made.
        self._kept: OrderedDict[str, tuple[TenantConfig, TenantConfig]] = OrderedDict()

    def of(self, config: TenantConfig) -> TenantConfig:
        """As `with_internal_contacts`."""
        known = self._kept.pop(config.tenant_id, None)
        made = known[1] if known is not None and known[0] is config else with_internal_contacts(config)
        self._kept[config.tenant_id] = config, made
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return made


def with_internal_contacts(config: TenantConfig) -> TenantConfig:
    """The configuration with its internal contacts as one more kind of resource; seconds' tenths for tens of thousands of users."""
    contacts: SortedMap[str, Resource] = SortedMap((each.id, each) for each in _contacts(config))
    return TenantConfig(config.tenant_id, config.seq, MappingProxyType({**config.resources, InternalContact.KIND: contacts}))


def _contacts(config: TenantConfig) -> Iterator[InternalContact]:
    digits: dict[tuple[str, str], tuple[str, ...]] = {}
    phones: dict[tuple[str, str], str] = {}
    for extension in config.extensions.values():
        to = _target(extension.destination)
        digits[to] = (*digits.get(to, ()), extension.id)
    for number in config.numbers.values():
        if number.destination is not None:
            phones.setdefault(_target(number.destination), number.id)
    for kind in (User, RingGroup, HuntGroup, Queue):
        for each in config.resources.get(kind.KIND, {}).values():
            to = (f"{each.KIND}_id", each.id)
            yield _contact(config, each, phones.get(to, ""), digits.get(to, ()))


def _target(destination: Destination) -> tuple[str, str]:
    kind = destination.kind
    return kind, str(getattr(destination, kind))


def _contact(config: TenantConfig, of: Resource, phone: str, extensions: tuple[str, ...]) -> InternalContact:
    user = of if isinstance(of, User) else None
    # Checked already where they come from: models of thousands are made without it.
    return InternalContact.model_construct(
        _GIVEN,
        id=f"{of.KIND}/{of.id}",
        kind=of.KIND,
        resource_id=of.id,
        department_id=of.department_id if isinstance(of, Departmental) else "",
        site_id=user.site_id if user else "",
        display_name=user.shown_name if user else str(getattr(of, "display_name", "") or of.id),
        last_name=user.last_name if user else "",
        first_name=user.first_name if user else "",
        company=config.tenant.display_name,
        function=user.function if user else "",
        email=user.email if user else "",
        phone=phone,
        mobile=user.mobile if user else "",
        extensions=tuple(sorted(extensions, key=lambda each: (len(each), each))),
    )
