"""The resources of a tenant as configuration events carry them, and the event itself.

Names and meanings are those of `carillon.directory.v1`; a proto message in its JSON form (original field names, enum values
without their prefix in lower case) is one of these models and back. Each model checks itself; references are checked by the directory.

A theme has a module of its own; this one brings them all, and `RESOURCES` lists the kinds.
"""

from carillon_contracts.config.changes import ConfigChanged
from carillon_contracts.config.destinations import DESTINATION_KINDS, Announcement, Destination
from carillon_contracts.config.features import (
    USUAL_CODES,
    DoorPhone,
    Feature,
    FeatureCode,
    PagingGroup,
    ParkingLot,
    PickupGroup,
    PickupScope,
    Supervision,
    SupervisionMode,
    codes_of,
)
from carillon_contracts.config.groups import RingGroup, RingMember
from carillon_contracts.config.mailboxes import Mailbox
from carillon_contracts.config.menus import Menu, MenuKey
from carillon_contracts.config.numbers import Number
from carillon_contracts.config.plans import (
    NODE_KINDS,
    AnnouncementNode,
    CalendarEntry,
    CalendarNode,
    DestinationNode,
    HangUpNode,
    MailboxNode,
    MenuNode,
    Plan,
    PlanNode,
    RingGroupNode,
    Ways,
)
from carillon_contracts.config.schedules import DayRange, Schedule, ScheduleException, WeeklyRange
from carillon_contracts.config.tenants import Tenant
from carillon_contracts.config.trunks import (
    TRUNK_PASSWORDS,
    SipDomain,
    SipWord,
    Trunk,
    TrunkCredential,
    TrunkIdentity,
    TrunkIncoming,
    TrunkNumberFormat,
    TrunkRegistration,
    TrunkServer,
)
from carillon_contracts.config.users import Extension, Forwarding, SipCredential, User
from carillon_contracts.config.values import E164, ClockTime, HangUpReason, Language, Resource, ResourceId, Shape, TenantId, TimeZoneName

#: Every kind of resource by its `KIND`, the tenant first, the others so that what is referred to mostly comes before what refers.
RESOURCES: dict[str, type[Resource]] = {
    kind.KIND: kind
    for kind in (
        Tenant,
        TrunkCredential,
        Trunk,
        Schedule,
        Mailbox,
        User,
        SipCredential,
        PickupGroup,
        PagingGroup,
        Supervision,
        RingGroup,
        Menu,
        Plan,
        ParkingLot,
        Extension,
        Number,
    )
}

__all__ = [
    "DESTINATION_KINDS",
    "E164",
    "NODE_KINDS",
    "RESOURCES",
    "TRUNK_PASSWORDS",
    "USUAL_CODES",
    "Announcement",
    "AnnouncementNode",
    "CalendarEntry",
    "CalendarNode",
    "ClockTime",
    "ConfigChanged",
    "DayRange",
    "Destination",
    "DestinationNode",
    "DoorPhone",
    "Extension",
    "Feature",
    "FeatureCode",
    "Forwarding",
    "HangUpNode",
    "HangUpReason",
    "Language",
    "Mailbox",
    "MailboxNode",
    "Menu",
    "MenuKey",
    "MenuNode",
    "Number",
    "PagingGroup",
    "ParkingLot",
    "PickupGroup",
    "PickupScope",
    "Plan",
    "PlanNode",
    "Resource",
    "ResourceId",
    "RingGroup",
    "RingGroupNode",
    "RingMember",
    "Schedule",
    "ScheduleException",
    "Shape",
    "SipCredential",
    "SipDomain",
    "SipWord",
    "Supervision",
    "SupervisionMode",
    "Tenant",
    "TenantId",
    "TimeZoneName",
    "Trunk",
    "TrunkCredential",
    "TrunkIdentity",
    "TrunkIncoming",
    "TrunkNumberFormat",
    "TrunkRegistration",
    "TrunkServer",
    "User",
    "Ways",
    "WeeklyRange",
    "codes_of",
]
