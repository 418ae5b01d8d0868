"""Events of stream CONFIG folded into a tenant's configuration, whether an event holds one change or many.

Always: what an event with many changes makes is what each of them alone would have made; changes that are known already change nothing;
one that this version of the software cannot read is counted and told, and the resource stays as it was.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from carillon_contracts.config import ConfigChanged
from carillon_contracts.config.changes import MANY_CHANGED, RESET_LINE
from carillon_contracts.envelope import Event
from carillon_contracts.tenant_config import ConfigGap, Folding, TenantConfig


@dataclass(frozen=True, slots=True)
class Folded:
    """The configuration after an event, the changes that were new in it, and versions that could not be read, with why."""

    config: TenantConfig
    changes: tuple[ConfigChanged, ...] = ()
    unreadable: tuple[tuple[int, str], ...] = ()
    #: What was there before is not a former version of it: see `Reading`.
    anew: bool = False


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


def fold(config: TenantConfig, event: Event, up_to: int | None = None, without: Collection[str] = ()) -> Folded:
    """`config` with the event's changes, but none after version `up_to`; raises `ConfigGap` if one is missing before them. Changes of the
    kinds in `without` are passed over unread."""
    folding = Folding(config)
    passed = False
    changes: list[ConfigChanged] = []
    unreadable: list[tuple[int, str]] = []
    for seq, raw in changes_of(event):
        if seq <= config.seq:
            continue
        if up_to is not None and seq > up_to:
            break
        if str(raw.get("resource")) in without:
            folding.pass_over(seq)
            passed = True
            continue
        try:
            change = ConfigChanged.model_validate(raw)
            folding.add(seq, change)
            changes.append(change)
        except ValidationError as error:
            folding.pass_over(seq)
            unreadable.append((seq, str(error)))
    return Folded(folding.result() if changes or unreadable or passed else config, tuple(changes), tuple(unreadable))


class Reading:
    """A tenant's configuration as its events are heard, one after the other.

    Its log may be told once more from version 1: behind the change that says that somebody was erased, as it reads from then on, or because
    the bus had lost it. To who has heard the log up to that change nothing in the copy is new. Who has heard only a part (the old copy was
    being destroyed) must not go on in the new one where the old one broke off: what was changed in between under the old names would stay
    as it was. So that one folds the copy beside what it has, and takes it as soon as it is as new.
    """

    def __init__(self, config: TenantConfig, without: Collection[str] = ()) -> None:
        self.config = config
        self._without = without
        self._copy: TenantConfig | None = None
        #: Version of the event heard last, if it says that somebody was erased.
        self._erased_at = 0

    def hear(self, event: Event, up_to: int | None = None) -> Folded:
        """As `fold`; raises `ConfigGap`."""
        first, last = versions(event)
        if first == 1 and self.config.seq and self._erased_at != self.config.seq:
            self._copy = TenantConfig(self.config.tenant_id)
        self._erased_at = last if event.data.get("action") == "erased" else 0
        if self._copy is not None:
            try:
                self._copy = fold(self._copy, event, up_to, self._without).config
            except ConfigGap:
                self._copy = None
        folded = fold(self.config, event, up_to, self._without)
        if self._copy is not None and self._copy.seq >= folded.config.seq:
            folded, self._copy = replace(folded, config=self._copy, anew=True), None
        self.config = folded.config
        return folded
