"""Steps and outcomes of a mailbox's dialogues as the contract has them."""

from typing import assert_never

from carillon.common.v1 import call_application_pb2 as pb
from carillon_kit.errors import InvalidArgument
from carillon_voicemail.domain import steps

#: Who goes on with a call that the dialogue gives away, and the argument that names what the caller dials.
ROUTING, DIAL = "routing", "dial"


def outcome_of(outcome: pb.Outcome) -> steps.Outcome:
    """Our outcome. Raises `InvalidArgument`."""
    match kind := outcome.WhichOneof("kind"):
        case "entered":
            return steps.Entered(dict(outcome.entered.arguments))
        case "play":
            return steps.Played()
        case "gather":
            return steps.Gathered(outcome.gather.digits)
        case "record":
            return steps.Recorded(outcome.record.object)
        case None:
            raise InvalidArgument({"outcome": "must be set"})
        case _:
            return steps.Other(kind)


def step_message(step: steps.Step) -> pb.Step:
    """The contract's step."""
    match step:
        case steps.Play(prompts):
            return pb.Step(play=pb.Play(prompts=[_prompt(prompt) for prompt in prompts]))
        case steps.Gather():
            return pb.Step(gather=_gather(step))
        case steps.Record():
            return pb.Step(record=_record(step))
        case steps.Dial(number):
            return pb.Step(delegate=pb.Delegate(application=ROUTING, arguments={DIAL: number}))
        case steps.HangUp(cause):
            return pb.Step(hang_up=pb.HangUp(cause=cause, reason="the mailbox has said goodbye"))
        case _:
            assert_never(step)


def _gather(step: steps.Gather) -> pb.Gather:
    return pb.Gather(
        prompts=[_prompt(prompt) for prompt in step.prompts],
        max_digits=step.max_digits,
        finish_digits=step.finish_digits,
        first_digit_timeout_ms=step.first_ms,
        inter_digit_timeout_ms=step.next_ms,
        secret=step.secret,
    )


def _record(step: steps.Record) -> pb.Record:
    return pb.Record(
        beep=True,
        max_ms=step.max_ms,
        silence_ms=step.silence_ms,
        min_ms=step.min_ms,
        finish_digits=step.finish_digits,
        labels=dict(step.labels),
    )


def _prompt(prompt: steps.Prompt) -> pb.Prompt:
    match prompt:
        case steps.Voice(name):
            return pb.Prompt(recording=name)
        case steps.Speech(text, language, audio_id) if audio_id:
            return pb.Prompt(audio=pb.AudioFile(audio_id=audio_id, text=text, language=language))
        case steps.Speech(text, language):
            return pb.Prompt(speech=pb.Speech(text=text, language=language))
        case steps.Spoken("number", (value,), language):
            return pb.Prompt(number=pb.SpokenNumber(value=value, language=language))
        case steps.Spoken("date", (year, month, day), language):
            return pb.Prompt(date=pb.SpokenDate(year=year, month=month, day=day, language=language))
        case steps.Spoken("time", (hour, minute), language):
            return pb.Prompt(time=pb.SpokenTime(hour=hour, minute=minute, language=language))
        case _:
            raise ValueError(f"a prompt {prompt}, which cannot be spoken")
