"""Calls as their events, for tests and benchmarks: `Script` writes them down as media would publish them.

Always: event ids, times and seq depend on the arguments alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import NAMESPACE_URL, UUID, uuid5

from carillon_contracts.call import (
    CallBridged,
    CallEnded,
    CallStarted,
    LegAnswered,
    LegEnded,
    LegOffered,
    LegRinging,
    Party,
    PlayEnded,
    RecordingFinished,
    RingEnded,
    RingResultName,
    RoutingDecided,
    TraceLine,
)
from carillon_contracts.config import ConfigChanged, Resource
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.streams import call_subject, config_subject
from carillon_contracts.tenant_config import TenantConfig

START = datetime(2026, 3, 3, 9, 15, tzinfo=UTC)
OBJECT = "sha256-" + "0" * 64


@dataclass(slots=True)
class Script:
    """The events of one call, one after another; each method appends and returns the script."""

    call_id: str = "c1"
    tenant: str = "dupont"
    start: datetime = START
    now: float = 0.0
    events: list[Event] = field(default_factory=list)

    def after(self, seconds: float) -> Self:
        """Let time go by."""
        self.now += seconds
        return self

    def add(self, data: EventData, leg: str | None = None, configseq: int | None = None) -> Self:
        """Append one event with the next seq."""
        seq = len(self.events) + 1
        self.events.append(
            Event(
                id=event_id(self.tenant, self.call_id, seq),
                source="carillon/media/test",
                type=f"carillon.{data.TYPE}",
                subject=self.call_id,
                time=self.start + timedelta(seconds=self.now),
                data=data.model_dump(mode="json"),
                tenantid=self.tenant,
                callid=self.call_id,
                legid=leg,
                seq=seq,
                configseq=configseq,
            )
        )
        return self

    def started(self, caller: str = "101", dialled: str = "102", user: str | None = "alice", trunk: str | None = None) -> Self:
        """The call begins: from a user, or from a trunk if one is given."""
        direction, user = ("inbound", None) if trunk else ("from_user", user)
        return self.add(
            CallStarted.model_validate(
                {"direction": direction, "caller": caller, "caller_user_id": user, "dialled": dialled, "trunk_id": trunk}
            ),
            "a",
        )

    def decided(
        self,
        step: str,
        application: str = "routing",
        details: Mapping[str, object] | None = None,
        configseq: int = 7,
        about: Iterable[str] = (),
    ) -> Self:
        """An application answered a step; `about`: subjects of its trace."""
        trace = tuple(TraceLine(subject=each, matched=True, reason="so it is") for each in about)
        data = RoutingDecided(application=application, step=step, details=dict(details or {}), trace=trace)
        return self.add(data, configseq=configseq)

    def rings(self, leg: str = "b1", party: str = "bob", number: str = "102") -> Self:
        """A leg is offered and rings."""
        return self.add(LegOffered(party=party, number=number), leg).add(LegRinging(), leg)

    def answers(self, leg: str = "b1") -> Self:
        """A leg is answered."""
        return self.add(LegAnswered(codec="PCMA"), leg)

    def connects(self, leg: str = "b1") -> Self:
        """A called leg answers, the caller's leg is answered, both are bridged."""
        self.answers(leg)
        if not any(event.legid == "a" and event.type.endswith("leg_answered.v1") for event in self.events):
            self.answers("a")
        return self.add(CallBridged(legs=("a", leg)))

    def ring_ended(self, result: RingResultName) -> Self:
        """The ring step is over."""
        return self.add(RingEnded(result=result))

    def plays(self, seconds: float) -> Self:
        """A prompt that was played."""
        return self.after(seconds).add(PlayEnded(duration_ms=round(seconds * 1000)), "a")

    def recorded(
        self, mailbox_id: str = "main", seconds: float = 5, labels: Mapping[str, str] | None = None, content: str = OBJECT
    ) -> Self:
        """A message was recorded."""
        named = {"purpose": "voicemail", "mailbox_id": mailbox_id, **(labels or {})}
        data = RecordingFinished(object=content, duration_ms=round(seconds * 1000), bytes=100, ended_by="hang_up", labels=named)
        return self.after(seconds).add(data, "a")

    def leg_ended(self, leg: str, cause: str = "normal_clearing", by: Party = "caller") -> Self:
        """A leg is over."""
        return self.add(LegEnded(cause=cause, by=by), leg)

    def ended(self, cause: str = "normal_clearing", by: Party = "caller", talk: float = 0.0) -> Self:
        """The caller's leg and the call are over."""
        self.leg_ended("a", cause, by)
        return self.add(CallEnded(cause=cause, by=by, talk_ms=round(talk * 1000), total_ms=round(self.now * 1000)))

    def talk(self, seconds: float = 12.5) -> Self:
        """The whole of a plain answered call from 101 to 102, hung up by the caller."""
        self.started().decided("ring").rings().after(4).connects().after(seconds)
        return self.leg_ended("b1").ended(talk=seconds)

    def messages(self) -> list[tuple[str, bytes]]:
        """Subject and bytes of each event, as published."""
        return [(subject_of(event), event.to_json()) for event in self.events]


class Configured:
    """`Configurations` that are given."""

    def __init__(self, *configs: TenantConfig) -> None:
        self._configs = {config.tenant_id: config for config in configs}

    def of(self, tenant: str) -> TenantConfig:
        """See the port."""
        return self._configs.get(tenant, TenantConfig(tenant))


#: Nothing is known of any tenant.
UNKNOWN = Configured()


def configured(tenant: str, *resources: Resource, after: int = 0) -> list[tuple[str, bytes]]:
    """The configuration events, subject and bytes, that make these resources or change them so, after the first `after` events."""
    return [_change(tenant, seq, each) for seq, each in enumerate(resources, after + 1)]


def _change(tenant: str, seq: int, resource: Resource) -> tuple[str, bytes]:
    made = resource.model_dump(mode="json", exclude_none=True)
    change = ConfigChanged(resource=resource.KIND, resource_id=resource.id, action="created", after=made, actor="test")
    event = Event(
        id=uuid5(NAMESPACE_URL, f"{tenant}/config/{seq}"),
        source="carillon/directory",
        type=change.event_type,
        subject=f"{resource.KIND}/{resource.id}",
        time=START,
        data=change.model_dump(mode="json"),
        tenantid=tenant,
        configseq=seq,
    )
    return config_subject(tenant, resource.KIND, "created"), event.to_json()


def subject_of(event: Event) -> str:
    """Where media publishes it."""
    return call_subject(event.tenantid, event.callid or "", event.type.split(".")[2])


def event_id(tenant: str, call_id: str, seq: int) -> UUID:
    """A stable id."""
    return uuid5(NAMESPACE_URL, f"{tenant}/{call_id}/{seq}")
