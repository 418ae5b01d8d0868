"""A step as the contract's JSON (proto field names, defaults left out), for the event `routing_decided`; long texts are shortened."""

from collections.abc import Mapping
from typing import Any

from carillon_media.domain.saying.words import words
from carillon_media.domain.steps import (
    AudioFile,
    Beep,
    Conference,
    Delegate,
    Gather,
    HangUp,
    Music,
    Page,
    Park,
    PickUp,
    Play,
    Prompt,
    Record,
    Recorded,
    Ring,
    RingTarget,
    Silence,
    Speech,
    Spoken,
    Step,
    Supervise,
    TrunkTarget,
    Wait,
)

MAX_TEXT = 120


def describe(step: Step) -> dict[str, Any]:
    """The fields of a step."""
    return _present(_fields(step))


def _fields(step: Step) -> Mapping[str, Any]:
    match step:
        case Ring():
            return {
                "targets": [_target(target) for target in step.targets],
                "caller_number": step.caller_number,
                "caller_name": step.caller_name,
                "ask_after_answer": step.ask_after_answer,
                "ask_after_giving_up": step.ask_after_giving_up,
                "auto_answer": step.auto_answer,
                "music": step.music,
                "music_id": step.music_id,
                "account_code": step.account_code,
                "ringback_music_id": step.ringback_music_id,
                "hold_reminder": {"every_ms": step.reminder.every_ms} if step.reminder is not None else {},
            }
        case Play():
            return {"prompts": [_prompt(prompt) for prompt in step.prompts]}
        case Gather():
            return {
                "prompts": [_prompt(prompt) for prompt in step.prompts],
                "max_digits": step.max_digits,
                "finish_digits": step.finish_digits,
                "first_digit_timeout_ms": step.first_digit_timeout_ms,
                "inter_digit_timeout_ms": step.inter_digit_timeout_ms,
                "secret": step.secret,
            }
        case Record():
            return {
                "beep": step.beep,
                "max_ms": step.max_ms,
                "silence_ms": step.silence_ms,
                "min_ms": step.min_ms,
                "finish_digits": step.finish_digits,
                "labels": dict(step.labels),
            }
        case Delegate():
            return {"application": step.application, "arguments": dict(step.arguments)}
        case Wait():
            return {
                "prompts": [_prompt(prompt) for prompt in step.prompts],
                "leave_digits": step.leave_digits,
                "max_ms": step.max_ms,
                "signalled": step.signalled,
                "quiet": step.quiet,
                "music_id": step.music_id,
            }
        case Conference():
            return _present({"room_id": step.room_id, "creator": step.creator, "record": step.record, "announcement": step.announcement})
        case HangUp():
            said = [_prompt(prompt) for prompt in step.prompts]
            return {"cause": step.cause, "sip_status": step.sip_status, "reason": step.reason, "prompts": said}
        case Park():
            return {
                "slots": list(step.slots),
                "timeout_ms": step.timeout_ms,
                "announcement": [_prompt(prompt) for prompt in step.announcement],
                "page_user_ids": list(step.page_user_ids),
                "page_prompts": [_prompt(prompt) for prompt in step.page_prompts],
            }
        case PickUp():
            return {"slot": step.slot, "ringing": _present({"user_ids": list(step.user_ids)})}
        case Supervise():
            modes = [f"SUPERVISE_MODE_{mode.upper()}" for mode in (step.mode, *step.allowed)]
            return {"user_id": step.user_id, "mode": modes[0], "allowed": modes[1:]}
        case Page():
            return {
                "user_ids": list(step.user_ids),
                "caller_number": step.caller_number,
                "caller_name": step.caller_name,
                "answer_within_ms": step.answer_within_ms,
            }


def _target(target: RingTarget) -> dict[str, Any]:
    whom: dict[str, Any]
    if isinstance(target.whom, TrunkTarget):
        trunk = target.whom
        whom = {"trunk": _present({"trunk_id": trunk.trunk_id, "number": trunk.number, "further_trunk_ids": list(trunk.further)})}
    else:
        whom = {"user_id": target.whom}
    times = {"start_after_ms": target.start_after_ms, "stop_after_ms": target.stop_after_ms}
    caller = {} if target.caller is None else {"caller": _present(dict(zip(("number", "name"), target.caller, strict=True)))}
    return {**_present({"target_id": target.target_id}), **whom, **_present(times), **caller}


def _prompt(prompt: Prompt) -> dict[str, Any]:
    match prompt:
        case Speech(text, language):
            short = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
            return {"speech": _present({"text": short, "language": language})}
        case Beep():
            return {"beep": True}
        case Silence(milliseconds):
            return {"silence_ms": milliseconds}
        case AudioFile():
            return {"audio": _present({"audio_id": prompt.audio_id, "text": prompt.text, "language": prompt.language})}
        case Spoken():
            return {prompt.kind: {"said": words(prompt), "language": prompt.language}}
        case Music():
            return {"music": _present({"playlist_id": prompt.playlist_id, "max_ms": prompt.max_ms})}
        case Recorded(name):
            return {"recording": name}


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
