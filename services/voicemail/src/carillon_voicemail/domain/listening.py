"""What is heard by who listens to messages: `begin` and `go_on` give the step that comes next, with its trace and what is to be done first.

Always: the same arguments give the same decision, and a question that is asked again, after what it led to was done, the same step:
what a key does depends on the cursor. Neither a PIN nor what is compared with it is looked at here: the shell says by a
verdict what the digits were. Which messages are gone through is settled at the menu; what happens to them meanwhile elsewhere
is seen when their turn comes.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from zoneinfo import ZoneInfo

from carillon_contracts.config import Mailbox, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.pins import pin_fits
from carillon_voicemail.domain.listening_phrases import ListeningPhrases, phrases_in
from carillon_voicemail.domain.listening_state import (
    Cursor,
    Decision,
    DropGreeting,
    Facts,
    HashPin,
    KeepGreeting,
    Mark,
    SetPin,
    State,
    Verdict,
)
from carillon_voicemail.domain.message import Message, MessageState
from carillon_voicemail.domain.phrases import phrases_in as sentences_in
from carillon_voicemail.domain.steps import (
    CallFacts,
    Dial,
    Gather,
    Gathered,
    HangUp,
    Outcome,
    Play,
    Prompt,
    Record,
    Recorded,
    Speech,
    Spoken,
    Trace,
    Voice,
)

#: Argument of who is sent here: `own`, the caller's own box; `box`, that of the extension in `BOX`, or of one that is asked for.
LISTEN, BOX = "listen", "box"
#: Label of a recording that may become a greeting.
GREETING_PURPOSE = "mailbox_greeting"
TRIES = 3
FINISH = "#"
MAX_DIGITS = 12
FIRST_MS, NEXT_MS = 8000, 4000
#: Messages that are gone through in one call.
MAX_MESSAGES = 100
MAX_GREETING_MS, MIN_GREETING_MS, GREETING_SILENCE_MS = 60_000, 500, 5000
#: Longer than a key is held.
_SPEAK_MS = 1000
_NUMBER = re.compile(r"\+?[0-9]{2,15}")


def trusts(mailbox: Mailbox | None, call: CallFacts) -> bool:
    """Whether the caller of a box listens to it in place of leaving a message."""
    return mailbox is not None and not call.user_id and call.caller_number in mailbox.trusted_numbers


def begin(facts: Facts, arguments: Mapping[str, str], language: str) -> Decision:
    """The caller was sent here to listen; `language` if the arguments have none. Who is not known by their phone gives a PIN."""
    language = arguments.get("language", "") or language
    dialled = LISTEN in arguments
    if arguments.get(LISTEN) == "box":
        box, cursor = arguments.get(BOX, ""), Cursor(State.BOX, "", language, calls_back=dialled)
        return _to_box(facts, cursor, box) if box else _ask_box(cursor)
    cursor = Cursor(State.MAIN, arguments.get("mailbox_id", ""), language, calls_back=dialled)
    mailbox = facts.config.mailboxes.get(cursor.mailbox_id)
    if mailbox is None:
        return _goodbye(cursor, sentences_in(language).unknown_mailbox, "there is no such mailbox", matched=False)
    if mailbox.always_ask_pin and mailbox.pin_hash:
        return ask_pin(cursor, "the box always asks for its PIN")
    return _main(facts, cursor, "the caller's own box")


def ask_pin(cursor: Cursor, reason: str, before: str = "") -> Decision:
    """For the PIN of the cursor's box."""
    asked = replace(cursor, state=State.PIN)
    text = phrases_in(cursor.language).ask_pin
    return _gather(asked, reason, before, text, digits=MAX_DIGITS, secret=True)


def go_on(facts: Facts, cursor: Cursor, outcome: Outcome, verdict: Verdict = "") -> Decision:
    """What comes after this outcome; one that does not belong to the cursor ends the call."""
    match cursor.state, outcome:
        case State.BOX, Gathered(digits):
            return _to_box(facts, cursor, digits) if digits else _again(facts, cursor, "no extension was typed")
        case State.PIN, Gathered():
            return _pin(facts, cursor, verdict)
        case State.MAIN, Gathered(digits):
            return _chosen(facts, cursor, digits)
        case State.MESSAGE, Gathered(digits):
            return _handled(facts, cursor, digits)
        case State.GREETING, Gathered(digits):
            return _greeting_chosen(facts, cursor, digits)
        case State.SPEAKING, Gathered():
            return _record(cursor)
        case State.RECORDING, Recorded(recorded):
            return _recorded(cursor, recorded)
        case State.KEEPING, Gathered(digits):
            return _keeping(facts, cursor, digits)
        case State.NEW_PIN, Gathered(digits):
            return _new_pin(facts, cursor, digits)
        case State.PIN_AGAIN, Gathered(digits):
            return _pin_again(facts, cursor, digits, verdict)
        case _:
            return Decision(HangUp(), cursor, _trace(cursor, cursor.state is State.GOODBYE, "all is said"))


def done(facts: Facts, decision: Decision, *, well: bool) -> Decision:
    """What comes after the act of a decision that waits for it."""
    phrases = phrases_in(decision.cursor.language)
    said = {SetPin: phrases.pin_kept, KeepGreeting: phrases.greeting_kept, DropGreeting: phrases.greeting_usual}
    act = type(decision.acts[-1])
    reason = f"{act.__name__}: {'done' if well else 'not possible now'}"
    return _main(facts, decision.cursor, reason, said.get(act, "") if well else phrases.not_now)


def mailbox_at(config: TenantConfig, extension: str) -> str:
    """The box of who is called there; empty if there is none."""
    found = config.extensions.get(extension)
    if found is None:
        return ""
    user = config.users.get(found.destination.user_id or "")
    return found.destination.mailbox_id or (user.mailbox_id if user is not None else "")


# -- whose box --------------------------------------------------------------------------------------------------------


def _ask_box(cursor: Cursor, before: str = "") -> Decision:
    return _gather(cursor, "the extension is asked for", before, phrases_in(cursor.language).ask_box, digits=MAX_DIGITS)


def _to_box(facts: Facts, cursor: Cursor, extension: str) -> Decision:
    """The PIN is asked for, whether there is such a box or not: who tries extensions is not told."""
    found = mailbox_at(facts.config, extension)
    reason = f"extension {extension} has {f'mailbox/{found}' if found else 'no box'}"
    return ask_pin(replace(cursor, box=extension, mailbox_id=found), reason)


def _pin(facts: Facts, cursor: Cursor, verdict: Verdict) -> Decision:
    phrases = phrases_in(cursor.language)
    if verdict == "right":
        return _main(facts, cursor, "the PIN is the box's")
    if verdict == "locked":
        return _goodbye(cursor, phrases.locked, "too many wrong tries; nobody may try now", matched=False)
    tried = replace(cursor, tries=cursor.tries + 1)
    if tried.tries >= TRIES:
        return _goodbye(tried, phrases.wrong, f"{TRIES} wrong tries in this call", matched=False)
    return ask_pin(tried, f"wrong, try {tried.tries} of {TRIES}", phrases.wrong if verdict == "wrong" else "")


# -- menus ------------------------------------------------------------------------------------------------------------


def _main(facts: Facts, cursor: Cursor, reason: str, before: str = "") -> Decision:
    """How many messages there are, and what can be done."""
    phrases, there = phrases_in(cursor.language), _there(facts)
    new = sum(message.state is MessageState.NEW for message in there)
    ids = tuple(str(message.message_id) for message in there[:MAX_MESSAGES])
    tries = cursor.tries if cursor.state is State.MAIN else 0
    at = Cursor(State.MAIN, cursor.mailbox_id, cursor.language, messages=ids, tries=tries, calls_back=cursor.calls_back)
    listen = (phrases.listen,) if there else ()
    counts = _counts(phrases, cursor.language, new, len(there) - new)
    return _gather(at, f"{reason}; {new} new and {len(there) - new} old messages", before, *counts, *listen, phrases.main)


def _counts(phrases: ListeningPhrases, language: str, new: int, old: int) -> tuple[str | Prompt, ...]:
    plenty = (phrases.you_have, Spoken("number", (new,), language), phrases.new_messages)
    first: tuple[str | Prompt, ...] = (phrases.no_new,) if new == 0 else (phrases.one_new,) if new == 1 else plenty
    if old < 2:
        return (*first, phrases.one_old) if old else first
    return (*first, Spoken("number", (old,), language), phrases.old_messages)


def _chosen(facts: Facts, cursor: Cursor, digits: str) -> Decision:
    match digits:
        case "1" if cursor.messages:
            return _play(facts, replace(cursor, state=State.MESSAGE, at=0), "from the first message")
        case "2":
            return _greetings(cursor, "the greeting is to be changed")
        case "3":
            return _ask_new_pin(cursor, "the PIN is to be changed")
        case "*" | "#":
            return _goodbye(cursor, sentences_in(cursor.language).goodbye, "the caller ends it")
        case _:
            return _again(facts, cursor, f"{digits or 'nothing'} was pressed")


def _again(facts: Facts, cursor: Cursor, reason: str) -> Decision:
    """The same once more, a few times."""
    tried = replace(cursor, tries=cursor.tries + 1)
    if tried.tries >= TRIES:
        return _goodbye(tried, sentences_in(cursor.language).goodbye, f"{reason}, {TRIES} times", matched=False)
    match cursor.state:
        case State.BOX:
            return _ask_box(tried)
        case State.GREETING:
            return _greetings(tried, reason)
        case State.KEEPING:
            return _ask_keep(tried, reason, hear=False)
        case _:
            return _main(facts, tried, reason)


# -- messages ---------------------------------------------------------------------------------------------------------


def _there(facts: Facts) -> list[Message]:
    return [message for message in facts.messages if message.state is not MessageState.DELETED]


def _current(facts: Facts, cursor: Cursor) -> Message | None:
    wanted = cursor.messages[cursor.at] if cursor.at < len(cursor.messages) else ""
    return next((message for message in facts.messages if str(message.message_id) == wanted), None)


def _play(facts: Facts, cursor: Cursor, reason: str, before: str = "") -> Decision:
    """The message with its date and caller; from now on it was heard."""
    phrases, message = phrases_in(cursor.language), _current(facts, cursor)
    if cursor.at >= len(cursor.messages):
        return _main(facts, cursor, f"{reason}; that was the last message", f"{before} {phrases.none_after}".strip())
    if message is None:
        return _play(facts, replace(cursor, at=cursor.at + 1), f"{reason}; it is not there any more", phrases.gone)
    acts = (Mark(message.message_id, MessageState.HEARD),) if message.state is MessageState.NEW else ()
    prompts = (*_received(phrases, cursor.language, facts, message), Voice(message.object), phrases.menu)
    heard = replace(cursor, tries=0, deleted=message.state is MessageState.DELETED)
    decision = _gather(heard, f"{reason}: message {message.message_id}", before, *prompts)
    return replace(decision, acts=acts)


def _received(phrases: ListeningPhrases, language: str, facts: Facts, message: Message) -> tuple[str | Prompt, ...]:
    tenant = facts.config.get(Tenant, facts.config.tenant_id)
    zone = ZoneInfo(tenant.time_zone) if tenant is not None and tenant.time_zone else UTC
    at, now = message.received_at.astimezone(zone), facts.now.astimezone(zone)
    date = Spoken("date", (0 if at.year == now.year else at.year, at.month, at.day), language)
    caller = message.caller_name or " ".join(message.caller_number.removeprefix("+")) or phrases.withheld
    return phrases.received, date, Spoken("time", (at.hour, at.minute), language), phrases.from_, caller


def _handled(facts: Facts, cursor: Cursor, digits: str) -> Decision:
    message, phrases = _current(facts, cursor), phrases_in(cursor.language)
    after = replace(cursor, at=cursor.at + 1)
    if message is None:
        return _play(facts, after, "the message is not there any more", phrases.gone)
    match digits:
        case "1":
            return _play(facts, cursor, "again")
        case "2":
            decision = _play(facts, after, f"message {message.message_id} is saved", phrases.saved)
            return replace(decision, acts=(Mark(message.message_id, MessageState.SAVED), *decision.acts))
        case "3":
            return _delete_or_not(cursor, message)
        case "4" if cursor.at == 0:
            return _play(facts, cursor, "there is none before", phrases.none_before)
        case "4":
            return _play(facts, replace(cursor, at=cursor.at - 1), "the one before")
        case "5":
            return _call_back(facts, cursor, message)
        case "0" | "*":
            return _main(facts, cursor, "back to the menu")
        case _:
            return _play(facts, after, f"{digits or 'nothing'} was pressed: the next one")


def _delete_or_not(cursor: Cursor, message: Message) -> Decision:
    """Delete it or take it back, tell so, and stay at it."""
    phrases, deleted = phrases_in(cursor.language), not cursor.deleted
    said, reason = (phrases.deleted, "is deleted") if deleted else (phrases.restored, "is taken back")
    act = Mark(message.message_id, MessageState.DELETED if deleted else MessageState.HEARD)
    asked = replace(cursor, deleted=deleted)
    return replace(_gather(asked, f"message {message.message_id} {reason}", said, phrases.menu), acts=(act,))


def _call_back(facts: Facts, cursor: Cursor, message: Message) -> Decision:
    phrases, number = phrases_in(cursor.language), message.caller_number
    own = cursor.calls_back and bool(facts.call.user_id)
    if not own or not _NUMBER.fullmatch(number):
        reason = "the caller's number was withheld" if own else "only a user's phone that dialled it calls back"
        return _gather(cursor, reason, phrases.not_returned, phrases.menu)
    return Decision(Dial(number), cursor, _trace(cursor, True, "calls back who left the message", number))


# -- the greeting -----------------------------------------------------------------------------------------------------


def _greetings(cursor: Cursor, reason: str) -> Decision:
    tries = cursor.tries if cursor.state is State.GREETING else 0
    return _gather(replace(cursor, state=State.GREETING, tries=tries), reason, phrases_in(cursor.language).greeting_menu)


def _greeting_chosen(facts: Facts, cursor: Cursor, digits: str) -> Decision:
    match digits:
        case "1":
            return _speak(cursor, "a greeting is recorded")
        case "2":
            return replace(_main(facts, cursor, "the usual greeting"), acts=(DropGreeting(),))
        case "0" | "*" | "#":
            return _main(facts, cursor, "back to the menu")
        case _:
            return _again(facts, cursor, f"{digits or 'nothing'} was pressed")


def _speak(cursor: Cursor, reason: str, before: str = "") -> Decision:
    """A gather, so that whoever knows it presses any key."""
    decision = _gather(replace(cursor, state=State.SPEAKING, object=""), reason, before, phrases_in(cursor.language).speak)
    assert isinstance(decision.step, Gather)
    return replace(decision, step=replace(decision.step, first_ms=_SPEAK_MS))


def _record(cursor: Cursor) -> Decision:
    labels = {"purpose": GREETING_PURPOSE, "mailbox_id": cursor.mailbox_id}
    step = Record(MAX_GREETING_MS, GREETING_SILENCE_MS, MIN_GREETING_MS, FINISH, labels)
    return Decision(step, replace(cursor, state=State.RECORDING), _trace(cursor, True, "the tone", "record"))


def _recorded(cursor: Cursor, recorded: str) -> Decision:
    if recorded:
        return _ask_keep(replace(cursor, object=recorded, tries=0), "recorded", hear=True)
    tried = replace(cursor, tries=cursor.tries + 1)
    if tried.tries >= TRIES:
        return _goodbye(tried, sentences_in(cursor.language).goodbye, f"nothing was said {TRIES} times", matched=False)
    return _speak(tried, "nothing was said", phrases_in(cursor.language).nothing)


def _ask_keep(cursor: Cursor, reason: str, *, hear: bool) -> Decision:
    heard: tuple[Prompt, ...] = (Voice(cursor.object),) if hear else ()
    return _gather(replace(cursor, state=State.KEEPING), reason, *heard, phrases_in(cursor.language).keep)


def _keeping(facts: Facts, cursor: Cursor, digits: str) -> Decision:
    match digits:
        case "1":
            return replace(_main(facts, cursor, "the greeting is kept"), acts=(KeepGreeting(cursor.object),))
        case "2":
            return _ask_keep(replace(cursor, tries=0), "to be heard again", hear=True)
        case "3":
            return _speak(cursor, "to be recorded anew")
        case _:
            return _again(facts, cursor, f"{digits or 'nothing'} was pressed")


# -- the PIN ----------------------------------------------------------------------------------------------------------


def _ask_new_pin(cursor: Cursor, reason: str, before: str = "") -> Decision:
    asked = replace(cursor, state=State.NEW_PIN, pin_hash="")
    return _gather(asked, reason, before, phrases_in(cursor.language).new_pin, digits=MAX_DIGITS, secret=True)


def _new_pin(facts: Facts, cursor: Cursor, digits: str) -> Decision:
    phrases = phrases_in(cursor.language)
    if pin_fits(digits):
        asked = replace(cursor, state=State.PIN_AGAIN)
        decision = _gather(asked, "once more", phrases.pin_again, digits=MAX_DIGITS, secret=True)
        return replace(decision, acts=(HashPin(digits),))
    tried = replace(cursor, tries=cursor.tries + 1)
    if not digits or tried.tries >= TRIES:
        return _main(facts, tried, "no new PIN", phrases.pin_rule if digits else "")
    return _ask_new_pin(tried, "not 4 to 12 digits", phrases.pin_rule)


def _pin_again(facts: Facts, cursor: Cursor, digits: str, verdict: Verdict) -> Decision:
    if verdict == "right":
        return replace(_main(facts, cursor, "the same again"), acts=(SetPin(digits),))
    tried = replace(cursor, tries=cursor.tries + 1)
    differs = phrases_in(cursor.language).pin_differs
    if tried.tries >= TRIES:
        return _main(facts, tried, "never the same twice", differs)
    return _ask_new_pin(tried, "not the same", differs)


# -- words ------------------------------------------------------------------------------------------------------------


def _gather(cursor: Cursor, reason: str, *said: str | Prompt, digits: int = 1, secret: bool = False) -> Decision:
    prompts = tuple(Speech(each, cursor.language) if isinstance(each, str) else each for each in said if each)
    step = Gather(prompts, digits, FINISH if digits > 1 else "", FIRST_MS, NEXT_MS, secret)
    return Decision(step, cursor, _trace(cursor, True, reason, cursor.state))


def _goodbye(cursor: Cursor, text: str, reason: str, *, matched: bool = True) -> Decision:
    step = Play((Speech(text, cursor.language),))
    return Decision(step, replace(cursor, state=State.GOODBYE), _trace(cursor, matched, reason, "goodbye"))


def _trace(cursor: Cursor, matched: bool, reason: str, to: str = "") -> Trace:
    return Trace(f"mailbox/{cursor.mailbox_id}" if cursor.mailbox_id else "mailbox", matched, reason, to)
