"""Why a call went where it went: each decision with the conditions that were met and those that were not, then what happened.

Always: made from the call's published events alone; nothing is decided again here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from carillon_cli.render.ladder import Note, ladder, mark, parse
from carillon_contracts.call import CallStarted, LegEnded, LegOffered, RoutingDecided, TraceLine
from carillon_contracts.envelope import Event

Details = Mapping[str, Any]


def target_text(target: Details) -> str:
    """`dumas from 0 s to 20 s`"""
    trunk = target.get("trunk") or {}
    who = target.get("user_id") or f"{trunk.get('number', '?')} by {trunk.get('trunk_id', '?')}"
    start, stop = int(target.get("start_after_ms", 0)) / 1000, int(target.get("stop_after_ms", 0)) / 1000
    return f"{who} from {start:g} s to {stop:g} s" if stop else f"{who} from {start:g} s on"


def prompts_text(details: Details) -> str:
    """The spoken texts, or what else is played."""
    parts = []
    for prompt in details.get("prompts", ()):
        speech = prompt.get("speech")
        parts.append(
            f"“{speech.get('text', '')}”" if speech else "beep" if prompt.get("beep") else f"{prompt.get('silence_ms', 0)} ms silence"
        )
    return " ".join(parts) or "nothing"


def step_text(step: str, details: Details) -> str:
    """A step in words."""
    match step:
        case "ring":
            return "ring " + ", ".join(map(target_text, details.get("targets", ())))
        case "play":
            return f"play {prompts_text(details)}"
        case "gather":
            return f"play {prompts_text(details)} and wait for {details.get('max_digits', '?')} digit(s)"
        case "wait":
            keys = f", or until {' or '.join(details['leave_digits'])} is pressed" if details.get("leave_digits") else ""
            said = f"play {prompts_text(details)} and " if details.get("prompts") else ""
            return f"{said}wait for at most {int(details.get('max_ms', 0)) / 1000:g} s{keys}"
        case "record":
            labels = ", ".join(f"{key}={value}" for key, value in sorted(details.get("labels", {}).items()))
            return f"record at most {int(details.get('max_ms', 0)) / 1000:g} s" + (f" ({labels})" if labels else "")
        case "delegate":
            arguments = ", ".join(f"{key}={value}" for key, value in sorted(details.get("arguments", {}).items()))
            return f"hand over to {details.get('application', '?')}" + (f" with {arguments}" if arguments else "")
        case "hang_up":
            return f"hang up, cause {details.get('cause', '?')}" + (f", SIP {details['sip_status']}" if details.get("sip_status") else "")
        case _:
            return step


def trace_lines(trace: Sequence[TraceLine]) -> list[str]:
    """One line per condition: met or not, what was looked at, why, where it leads."""
    width = min(44, max((len(line.subject) for line in trace), default=0))
    return [
        f"    {'+' if line.matched else '-'} {line.subject:<{width}}  {line.reason}{f'  -> {line.next}' if line.next else ''}".rstrip()
        for line in trace
    ]


def happened(event: Event, data: Any) -> str:
    """One line about an event that is no decision."""
    who = ""
    if event.legid and not isinstance(data, LegOffered):
        who = f"leg {event.legid}: "
    if isinstance(data, LegOffered):
        return f"leg {event.legid} is offered to {data.party}" + (f" ({data.number})" if data.number else "")
    if isinstance(data, LegEnded):
        return f"{who}over, {data.cause}" + (f" (SIP {data.sip_status})" if data.sip_status else "") + f", by {data.by}"
    shown = mark(event.legid or "a", data)
    return shown.text if isinstance(shown, Note) else who + shown.text


def explain(events: Sequence[Event]) -> list[str]:
    """The whole text. Raises ValueError when there is nothing to explain."""
    ordered = sorted(events, key=lambda event: event.seq or 0)
    if not ordered:
        raise ValueError("no events")
    first = ordered[0]
    lines = [f"Call {first.callid} of {first.tenantid}, {first.time:%Y-%m-%d %H:%M:%S} UTC"]
    number = 0
    for event in ordered:
        data = parse(event)
        after = f"+{(event.time - first.time).total_seconds():.3f} s"
        match data:
            case None:
                lines.append(f"  {after:>10}  {event.type}")
            case CallStarted():
                lines.append(
                    f"{data.caller_user_id or data.caller or 'withheld'} calls {data.dialled} ({data.direction.replace('_', ' ')})"
                )
            case RoutingDecided():
                number += 1
                version = f"configuration {event.configseq}" if event.configseq else "no configuration needed"
                lines += ["", f"{number}. {data.application} decides after {after[1:]} ({version})", *trace_lines(data.trace)]
                lines.append(f"    => {step_text(data.step, data.details)}")
            case _:
                lines.append(f"  {after:>10}  {happened(event, data)}")
    return [*lines, "", *ladder(ordered)]
