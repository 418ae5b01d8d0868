"""Events of stream CONFIG folded into a tenant's configuration, whether an event holds one change or many.

Always: what an event with many changes makes is what each of them alone would have made; changes that are known already change nothing;
one that this version of the software cannot read is counted and told, and the resource stays as it was.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from carillon_contracts.config import ConfigChanged
from carillon_contracts.config.changes import MANY_CHANGED, RESET_LINE
from carillon_contracts.envelope import Event
from carillon_contracts.tenant_config import Folding, TenantConfig


@dataclass(frozen=True, slots=True)
class Folded:
    """The configuration after an event, the changes that were new in it, and versions that could not be read, with why."""

    config: TenantConfig
    changes: tuple[ConfigChanged, ...] = ()
    unreadable: tuple[tuple[int, str], ...] = ()


def many(event: Event) -> bool:
    """Whether it holds many changes, so that what it makes is large and stays."""
    return event.type == MANY_CHANGED


def versions(event: Event) -> tuple[int, int]:
    """The first and the last version that the event's changes made; (0, 0): it has none."""
    last = event.configseq or 0
    if not many(event):
        return last, last
    first = event.data.get("first")
    return (first, last) if isinstance(first, int) and 1 <= first <= last else (0, 0)


def changes_of(event: Event) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each change with the version that it made, in order; as JSON values, not checked."""
    first, last = versions(event)
    if not many(event):
        yield last, event.data
        return
    listed = event.data.get("changes")
    found = listed if isinstance(listed, list) else []
    for seq in range(first, last + 1) if last else ():
        each = found[seq - first] if seq - first < len(found) else {}
        yield seq, each if isinstance(each, dict) else {}


def line_resets(event: Event) -> Iterator[str]:
    """Ids of the resources (by the event's subject all users, or all mailboxes) whose line was reset by its changes."""
    for _, change in changes_of(event):
        if change.get("verb") == RESET_LINE:
            yield str(change.get("resource_id", ""))


def fold(config: TenantConfig, event: Event, up_to: int | None = None) -> Folded:
    """`config` with the event's changes, but none after version `up_to`; raises `ConfigGap` if one is missing before them."""
    folding = Folding(config)
    changes: list[ConfigChanged] = []
    unreadable: list[tuple[int, str]] = []
    for seq, raw in changes_of(event):
        if seq <= config.seq:
            continue
        if up_to is not None and seq > up_to:
            break
        try:
            change = ConfigChanged.model_validate(raw)
            folding.add(seq, change)
            changes.append(change)
        except ValidationError as error:
            folding.pass_over(seq)
            unreadable.append((seq, str(error)))
    return Folded(folding.result() if changes or unreadable else config, tuple(changes), tuple(unreadable))
