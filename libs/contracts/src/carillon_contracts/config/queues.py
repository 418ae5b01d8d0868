"""Callers who wait, and the agents who answer them."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.destinations import Announcement, Destination
from carillon_contracts.config.values import Departmental, Resource, Shape

SkillName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]
SkillLevel = Annotated[int, Field(ge=1, le=10)]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9*#]?$")]
Seconds = Annotated[int, Field(ge=0, le=86_400)]
#: Callers who may wait in a queue that does not say.
DEFAULT_SIZE = 10


class QueueMember(Shape):
    """An agent of the queue; a higher tier is only rung while no agent of a lower one is free."""

    agent_id: str
    tier: Annotated[int, Field(ge=1, le=9)] = 1


class QueueSkillWidening(Shape):
    """From `after_seconds` of waiting on, this level is enough; 0: the skill is not asked for any more."""

    after_seconds: Annotated[int, Field(ge=1, le=86_400)]
    min_level: Annotated[int, Field(ge=0, le=10)] = 0


class QueueSkill(Shape):
    """What an agent must know to get the queue's callers."""

    name: SkillName
    min_level: SkillLevel = 1
    widenings: Annotated[tuple[QueueSkillWidening, ...], Field(max_length=10)] = ()

    @model_validator(mode="after")
    def _falling(self) -> Self:
        before, level = 0, self.min_level
        for step in self.widenings:
            if step.after_seconds <= before or step.min_level >= level:
                raise ValueError("widenings: each one must come later and ask for less than the one before")
            before, level = step.after_seconds, step.min_level
        return self


class QueuePriority(Shape):
    """Callers whose number begins so come before others; the higher, the sooner."""

    prefixes: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{1,15}$")], ...], Field(min_length=1, max_length=1000)]
    priority: Annotated[int, Field(ge=1, le=9)]


class QueueAnnouncements(Shape):
    """What callers hear between the music."""

    welcome: Annotated[tuple[Announcement, ...], Field(max_length=10)] = ()
    first_in_line: Annotated[tuple[Announcement, ...], Field(max_length=10)] = ()
    periodic: Annotated[tuple[Announcement, ...], Field(max_length=20)] = ()
    every_seconds: Annotated[int, Field(ge=10, le=600)] = 30
    position: bool = False
    estimated_wait: bool = False


class QueueCallback(Shape):
    """How callers are called back who want it: offered by itself after a wait (0: the key counts from the beginning), so often, so long."""

    offer_after_seconds: Seconds = 0
    offer: Annotated[tuple[Announcement, ...], Field(max_length=10)] = ()
    tries: Annotated[int, Field(ge=1, le=10)] = 3
    pause_seconds: Annotated[int, Field(ge=10, le=3600)] = 60
    expires_seconds: Annotated[int, Field(ge=60, le=172_800)] = 14_400


class Queue(Departmental):
    """Callers wait, the highest priority first and then who came first, until an agent is free."""

    KIND: ClassVar[str] = "queue"
    PLURAL: ClassVar[str] = "queues"
    display_name: str = ""
    strategy: Literal["longest_idle", "fewest_calls", "round_robin", "all"] = "longest_idle"
    members: Annotated[tuple[QueueMember, ...], Field(max_length=500)] = ()
    skills: Annotated[tuple[QueueSkill, ...], Field(max_length=10)] = ()
    priorities: Annotated[tuple[QueuePriority, ...], Field(max_length=20)] = ()
    max_size: Annotated[int, Field(ge=0, le=5000)] = 0
    max_wait_seconds: Seconds = 0
    ring_seconds: Annotated[int, Field(ge=5, le=60)] = 15
    wrap_up_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    missed_offers_to_pause: Annotated[int, Field(ge=0, le=100)] = 0
    leave_without_agents: bool = False
    leave_key: Key = ""
    callback_key: Key = ""
    full: Destination | None = None
    waited_too_long: Destination | None = None
    no_agents: Destination | None = None
    left_by_key: Destination | None = None
    announcements: QueueAnnouncements = QueueAnnouncements()
    callback: QueueCallback = QueueCallback()
    #: Whether the talks of its callers are recorded.
    recording_policy_id: str = ""
    #: Agents are offered callers also while they are not to be disturbed (do not disturb, quiet hours); else they are passed over.
    through_do_not_disturb: bool = False
    #: Playlist that callers hear while they wait; empty: the tenant's.
    hold_music_id: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        agents = [member.agent_id for member in self.members]
        if len(set(agents)) != len(agents):
            raise ValueError("members: each agent may stand once")
        if self.leave_key and self.leave_key == self.callback_key:
            raise ValueError("callback_key: must differ from leave_key")
        if self.callback.offer_after_seconds and not self.callback_key:
            raise ValueError("callback_key: must be given where call-backs are offered")
        return self

    @property
    def size_limit(self) -> int:
        """Callers who may wait."""
        return self.max_size or DEFAULT_SIZE


class AgentSkill(Shape):
    """What an agent knows, and how well."""

    name: SkillName
    level: SkillLevel = 1


class Agent(Resource):
    """A user who takes calls of queues while logged in."""

    KIND: ClassVar[str] = "agent"
    PLURAL: ClassVar[str] = "agents"
    display_name: str = ""
    user_id: str
    skills: Annotated[tuple[AgentSkill, ...], Field(max_length=50)] = ()

    def level(self, skill: str) -> int:
        """How well the agent knows it; 0: not at all."""
        return max((known.level for known in self.skills if known.name == skill), default=0)
