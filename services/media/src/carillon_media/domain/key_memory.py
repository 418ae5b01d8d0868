"""What is remembered of the keys that a leg tells and is told, so that each counts once, also for the process after a kill.

Invariant: a memory never changes; who learns something has a new one.
"""

from dataclasses import dataclass, replace

from carillon_media.domain.outputs import PassKey

#: A key that a phone tells so soon after it has told it in another kind is the same key.
SAME_KEY_SECONDS = 1.0
#: Keys that are remembered for it; nobody presses more in that time.
MOST_UNPAIRED = 32
#: What a phone sends again comes so long after it is heard again at most: T2 of RFC 3261 section 17.1.2.2.
SENT_AGAIN_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Info:
    """A key that its far end is to be told by INFO; `transaction`: that INFO is under way, `again`: since before a kill, so that its far
    end may have it though it does not answer."""

    key_id: str
    digit: str
    on_ms: int
    transaction: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class KeyMemory:
    """Of one leg. Times are monotonic seconds."""

    #: It has sent a key by INFO: keys in its audio are the same ones. And the last of those, and when.
    by_info: bool = False
    key_heard: tuple[str, float] = ("", 0.0)
    #: A key was heard in its audio.
    by_tones: bool = False
    #: Keys told in one kind beside telephone events that may come in the other, too: (by INFO, key, when).
    unpaired: tuple[tuple[bool, str, float], ...] = ()
    #: Whether each of them comes in both; None: that is not known yet, and `doubtful` are what it has told by INFO until it is.
    tells_twice: bool | None = None
    doubtful: tuple[PassKey, ...] = ()
    #: Keys that it is to be told by INFO, the one that is under way first; and whether it has refused one.
    infos: tuple[Info, ...] = ()
    refuses_info: bool = False


NOTHING_REMEMBERED = KeyMemory()


def heard_in_audio(memory: KeyMemory, digit: str, now: float, *, by_info: bool) -> tuple[KeyMemory, bool]:
    """A key of a leg whose keys are in its audio, and whether it counts: only INFO does from a phone's first one on, and that may tell a
    key that was heard."""
    if not by_info:
        return replace(memory, key_heard=(digit, now), by_tones=True), not memory.by_info
    heard, at = memory.key_heard
    again = not memory.by_info and heard == digit and now - at < SAME_KEY_SECONDS
    return replace(memory, by_info=True), not again


def told_beside_events(memory: KeyMemory, digit: str, now: float, pressed: float, *, by_info: bool) -> tuple[KeyMemory, bool]:
    """A key of a leg with telephone events, and whether it counts. Some phones tell each key both ways; which comes first is theirs."""
    unpaired = [key for key in memory.unpaired[-MOST_UNPAIRED:] if pressed - key[2] < SAME_KEY_SECONDS]
    for key in unpaired:
        if key[:2] == (not by_info, digit):
            unpaired.remove(key)
            return replace(memory, unpaired=tuple(unpaired), tells_twice=True), False
    return replace(memory, unpaired=(*unpaired, (by_info, digit, now))), True


def after_a_kill(memory: KeyMemory, died: float, now: float) -> KeyMemory:
    """For the process that takes the leg up: what its phone told in the other kind when nobody listened is sent again, and takes longer."""
    later = now + SENT_AGAIN_SECONDS - SAME_KEY_SECONDS
    unpaired = tuple([(by_info, digit, later) for by_info, digit, at in memory.unpaired if died - at < SAME_KEY_SECONDS])
    heard, at = memory.key_heard
    return replace(memory, unpaired=unpaired, key_heard=(heard, later if heard and died - at < SAME_KEY_SECONDS else at))
