"""A call in words: what happened, every decision with all the conditions that were tried, and what was done, in one of four languages.

Always: made from the call's events, or from a simulation's decisions; nothing is decided again here. Every sentence comes with its kind and
the values seen, which are the same in every language.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from carillon_contracts.call import (
    CallEnded,
    CallStarted,
    DigitsGathered,
    LegAnswered,
    LegOffered,
    PlayEnded,
    RingEnded,
    RoutingDecided,
    TraceLine,
)
from carillon_contracts.causes import Q850_BY_NAME
from carillon_contracts.envelope import Event
from carillon_routing.domain.sentences import Recognised, Teller

_KINDS: tuple[type[Any], ...] = (CallStarted, RoutingDecided, LegOffered, LegAnswered, RingEnded, PlayEnded, DigitsGathered, CallEnded)
_SHAPES: Mapping[str, type[Any]] = {f"carillon.{kind.TYPE}": kind for kind in _KINDS}
_SPOKEN = 300


@dataclass(frozen=True, slots=True)
class Condition:
    """One that was tried: `sentence` says it all; `subject`, `reason`, `way` (empty: it leads nowhere) are its parts."""

    matched: bool
    sentence: str
    subject: str
    reason: str
    way: str
    kind: str
    subject_kind: str
    values: Mapping[str, str]
    #: As the trace has it.
    line: TraceLine


@dataclass(frozen=True, slots=True)
class Told:
    """What a decision looked at, and what it did (`step`: the kind)."""

    conditions: tuple[Condition, ...]
    step: str
    step_sentence: str


@dataclass(frozen=True, slots=True)
class Part:
    """Something that happened in a call; `kind` is a key of `[happened]`, or `decision`."""

    seq: int
    at: datetime
    kind: str
    sentence: str
    values: Mapping[str, str] = field(default_factory=dict)
    application: str = ""
    config_seq: int = 0
    decision: Told | None = None


def told(teller: Teller, trace: Iterable[TraceLine], step: str, details: Mapping[str, Any]) -> Told:
    """A decision in words; `details`: the step's fields as the contract's JSON."""
    return Told(tuple(condition(teller, line) for line in trace), step, step_sentence(teller, step, details))


def condition(teller: Teller, line: TraceLine) -> Condition:
    """One line of a trace."""
    library = teller.library
    subject, reason = library.recognise("subjects", line.subject), library.recognise("reasons", line.reason)
    about, why, way = teller.tell("subjects", subject), teller.tell("reasons", reason), _way(teller, line.next)
    said = {"subject": about, "reason": why, "way": way}
    sentence = teller.book.filled("glue", "condition_led" if way else "condition", **said)
    values = {f"subject.{name}": value for name, value in _values(subject).items()} | _values(reason)
    return Condition(line.matched, sentence, about, why, way, reason.kind, subject.kind, values, line)


def _values(found: Recognised) -> dict[str, str]:
    return {name: value for name, value in found.values.items() if value}


def _way(teller: Teller, way: str) -> str:
    return teller.told("ways", way) if way else ""


def step_sentence(teller: Teller, step: str, details: Mapping[str, Any]) -> str:
    """What is done."""
    book = teller.book
    match step:
        case "ring":
            targets = ", ".join(_target(teller, each) for each in details.get("targets", ()))
            return book.filled("steps", "ring", targets=targets)
        case "play":
            return book.filled("steps", "play", text=_spoken(teller, details))
        case "gather":
            text, count = _spoken(teller, details, ""), details.get("max_digits", 1)
            return book.filled("steps", "gather" if text else "gather_silent", text=text, count=count)
        case "record" | "wait":
            text = _spoken(teller, details, "") if step == "wait" else ""
            return book.filled("steps", "wait_spoken" if text else step, text=text, seconds=f"{int(details.get('max_ms', 0)) / 1000:g}")
        case "delegate":
            application = str(details.get("application", ""))
            return book.filled("steps", "delegate", application=book.word("words", f"application_{application}", application))
        case "hang_up":
            return book.filled("steps", "hang_up", cause=teller.cause(details.get("cause", 0)))
        case "queue" | "park" | "pick_up" | "supervise" | "page":
            return book.word("steps", step)
        case _:
            return step


def _target(teller: Teller, target: Mapping[str, Any]) -> str:
    trunk = target.get("trunk") or {}
    if target.get("user_id"):
        who = teller.named(f"user/{target['user_id']}")
    else:
        who = teller.book.filled(
            "steps", "ring_outside", number=trunk.get("number", "?"), trunk=teller.named(f"trunk/{trunk.get('trunk_id', '?')}")
        )
    start, stop = int(target.get("start_after_ms", 0)) / 1000, int(target.get("stop_after_ms", 0)) / 1000
    return teller.book.filled("steps", "ring_target" if stop else "ring_target_open", who=who, start=f"{start:g}", stop=f"{stop:g}")


def _spoken(teller: Teller, details: Mapping[str, Any], otherwise: str | None = None) -> str:
    texts = [(each.get("speech") or each.get("audio") or {}).get("text", "") for each in details.get("prompts", ())]
    text = " ".join(filter(None, texts))[:_SPOKEN]
    return f"“{text}”" if text else teller.book.word("steps", "nothing") if otherwise is None else otherwise


class Telling:
    """Tells a call's events one by one, in their order; it knows whose leg is whose."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._parties: dict[str, str] = {}

    def part(self, event: Event) -> Part | None:
        """None: it tells nothing of where the call went. Raises `ValidationError`."""
        shape = _SHAPES.get(event.type)
        if shape is None:
            return None
        data = shape.model_validate(event.data)
        if isinstance(data, LegOffered):
            self._parties[event.legid or ""] = data.party
        if isinstance(data, RoutingDecided):
            return _decision(self._teller, event, data)
        said = _happened(data, self._parties.get(event.legid or "", ""))
        if said is None:
            return None
        kind, values = said
        return Part(
            event.seq or 0, event.time, kind, happened(self._teller, kind, values), {name: value for name, value in values.items() if value}
        )


def happened(teller: Teller, kind: str, values: Mapping[str, str]) -> str:
    """A sentence of `[happened]`."""
    return teller.book.filled("happened", kind, **_shown(teller, values))


def parts(teller: Teller, events: Iterable[Event]) -> list[Part]:
    """What happened, in order. Raises `ValidationError`."""
    telling = Telling(teller)
    found = (telling.part(event) for event in sorted(events, key=lambda event: event.seq or 0))
    return [part for part in found if part is not None]


def _decision(teller: Teller, event: Event, data: RoutingDecided) -> Part:
    application = teller.book.word("words", f"application_{data.application}", data.application)
    seq = event.configseq or 0
    sentence = teller.book.filled("glue", "decision" if seq else "decision_free", application=application, config_seq=seq)
    decision = told(teller, data.trace, data.step, data.details)
    return Part(event.seq or 0, event.time, "decision", sentence, {}, data.application, seq, decision)


def _happened(data: Any, party: str) -> tuple[str, dict[str, str]] | None:
    """Kind and values as they are written."""
    match data:
        case CallStarted():
            caller = f"user/{data.caller_user_id}" if data.caller_user_id else data.caller
            return f"started_{data.direction}", {"caller": caller, "dialled": data.dialled}
        case RingEnded():
            return "ring_ended", {"result": data.result}
        case LegAnswered() if party:
            return "answered", {"who": party if ":" in party else f"user/{party}"}
        case DigitsGathered():
            kind = "secret_digits" if data.digits is None else "digits" if data.digits else "no_digits"
            return kind, {"digits": data.digits or ""}
        case PlayEnded():
            return "play_ended", {}
        case CallEnded():
            return f"ended_{data.by}", {"cause": data.cause}
    return None


def _shown(teller: Teller, values: Mapping[str, str]) -> dict[str, str]:
    shown = dict(values)
    if "cause" in values:
        number = str(Q850_BY_NAME.get(values["cause"], ""))
        known = number in teller.book.tables["causes"]
        shown["cause"] = teller.cause(number) if known else values["cause"].replace("_", " ")
    if "result" in values:
        shown["result"] = teller.book.word("words", values["result"])
    if "reason" in values:
        shown["reason"] = teller.book.word("words", f"left_{values['reason']}", values["reason"])
    for name in ("who", "caller"):
        if value := values.get(name):
            shown[name] = teller.named(value.replace("trunk:", "trunk/")) if "/" in value or value.startswith("trunk:") else value
        elif name in values:
            shown[name] = teller.book.word("glue", "withheld")
    return shown


def lines(teller: Teller, call_id: str, found: Sequence[Part]) -> list[str]:
    """The explanation as text, a line a sentence: `+` a condition that held, `-` one that did not."""
    text = [teller.book.filled("glue", "call", call_id=call_id)]
    number = 0
    for part in found:
        if part.decision is None:
            text.append(f"  {part.sentence}")
            continue
        number += 1
        text += ["", f"{number}. {part.sentence}", *decision_lines(teller, part.decision)]
    return text


def part_lines(teller: Teller, part: Part) -> list[str]:
    """One part alone."""
    return [part.sentence, *(decision_lines(teller, part.decision) if part.decision is not None else ())]


def decision_lines(teller: Teller, decision: Told) -> list[str]:
    """A decision's conditions, and what was done."""
    marked = [f"    {'+' if each.matched else '-'} {each.sentence}" for each in decision.conditions]
    return [*marked, f"    => {teller.book.filled('glue', 'then', step=decision.step_sentence)}"]
