"""A phone that was called because somebody called for help: the words, again and again, until a key says that they were understood.

Always: only what was kept for this notice is spoken; it counts as acknowledged only when that is kept.
"""

from carillon_routing.domain.asks import AcknowledgeNotice, NoticeWords
from carillon_routing.domain.cursor import NoticeWait, PlayWait
from carillon_routing.domain.facts import Gather, Gathered, HangUp, Phrase, Play
from carillon_routing.domain.feature_phrases import phrase
from carillon_routing.domain.walk import ENDS, Move, Stop, Walk

#: The argument of the first question in such a call.
ARGUMENT = "emergency_notice"
KEY = "1"
#: Times that the words are spoken in one call: who answers late, or whose mailbox answers, has most of it.
MAX_TURNS = 5
PAUSE_MS = 3_000
_GONE = HangUp(31, 480, "there is nothing to tell any more")


def begin(walk: Walk, order_id: str) -> Move:
    """Whoever answered hears it."""
    return _tell(walk, NoticeWait(order_id))


def heard(walk: Walk, wait: NoticeWait, gathered: Gathered) -> Move:
    """Acknowledged, or spoken once more."""
    subject = f"emergency notice {wait.order_id}"
    if gathered.digits == KEY:
        language = _words(walk, wait)[1]
        done = walk.ask(AcknowledgeNotice(wait.order_id, wait.turn)) is True
        walk.note(subject, done, "is acknowledged" if done else "it could not be kept in time")
        if done:
            return Stop(Play((phrase("noted", language),)), PlayWait())
    if wait.turn + 1 >= MAX_TURNS:
        walk.note(subject, False, f"nobody acknowledged it, spoken {MAX_TURNS} times", "hang_up")
        return Stop(ENDS["answered"])
    return _tell(walk, NoticeWait(wait.order_id, wait.turn + 1))


def _tell(walk: Walk, wait: NoticeWait) -> Move:
    text, language = _words(walk, wait)
    subject = f"emergency notice {wait.order_id}"
    if not text:
        walk.note(subject, False, "its words could not be read, or it is over", "hang_up")
        return Stop(_GONE)
    walk.note(subject, True, f"is spoken, {wait.turn + 1} of {MAX_TURNS} times")
    return Stop(Gather((Phrase(text, language), phrase("press_one", language)), 1, PAUSE_MS, PAUSE_MS), wait)


def _words(walk: Walk, wait: NoticeWait) -> tuple[str, str]:
    """What is spoken (empty: nothing), and in which language."""
    words = walk.ask(NoticeWords(wait.order_id, wait.turn))
    if not isinstance(words, dict):
        return "", walk.config.tenant.language
    return str(words.get("text", "")), str(words.get("language", ""))
