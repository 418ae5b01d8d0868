"""The event of one accepted change."""

from typing import Any, ClassVar, Literal

from carillon_contracts.envelope import EventData

#: `ConfigChanged.verb`: the line is somebody else's from then on; what services keep of the one before goes.
RESET_LINE = "reset_line"


def event_type(resource: str, action: str) -> str:
    """CloudEvents type of a change: `carillon.config.user_updated.v1`."""
    return f"carillon.config.{resource}_{action}.v1"


class ConfigChanged(EventData):
    """One accepted change with the whole fact; `configseq` in the envelope is the version it made.

    Published as `carillon.config.<resource>_<fact>.v1` (`carillon.config.user_updated.v1`) on
    `carillon.<tenant>.config.<resource>.<fact>`. `before` and `after` are the resource as JSON; secrets are hashes.
    """

    TYPE: ClassVar[str] = "config.changed.v1"
    resource: str
    resource_id: str
    #: `erased`: resource `person`, whose pseudonym is the id; every earlier change reads otherwise from then on.
    action: Literal["created", "updated", "deleted", "erased"]
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    actor: str
    reason: str = ""
    #: What the change is part of, where others act on that: `reset_line` (of the user, and of a mailbox that is theirs alone).
    verb: str = ""

    @property
    def event_type(self) -> str:
        """CloudEvents type of this change."""
        return event_type(self.resource, self.action)


class ManyChanged(EventData):
    """Changes of one kind that come many at once, as an import makes them; `configseq` in the envelope is the version that the last made.

    Published on the subject that each of them alone would have had (`carillon.<tenant>.config.user.created`), in their order; the
    envelope's `id` and `time` are the last one's. A change with a verb is always an event of its own.
    """

    TYPE: ClassVar[str] = "config.many_changed.v1"
    #: The version that the first of them made; each next one made the next.
    first: int
    changes: tuple[ConfigChanged, ...]


MANY_CHANGED = f"carillon.{ManyChanged.TYPE}"
