"""The story of Dupont SA, scene by scene: what is done, and what must be true afterwards.

Always: a scene says at what time of day it plays and what each phone does; nothing of an earlier scene is needed.
"""

import asyncio
from collections.abc import Awaitable, Callable

from carillon_cli.demo.post import delivered, next_post
from carillon_cli.demo.stage import CARRIER_HZ, HEARD_SECONDS, OUTSIDE, OUTSIDE_HZ, TONES, Stage, Told
from carillon_cli.phone import tones, wav
from carillon_cli.phone.call import BUSY, NEVER, Behaviour, PhoneCall
from carillon_cli.phone.phone import Phone

#: Tuesday in and out of hours, Saturday on duty.
MORNING, EVENING, SATURDAY = "2026-11-24T10:15", "2026-11-24T20:00", "2026-11-28T10:00"
TALK = 2.0
POST_SECONDS = 15.0
#: A beep of 250 ms and the silence around it.
AFTER_BEEP = 0.6
SPOKEN = 2.5
#: The first menu's prompts take longer than this to speak.
SHORTEST_PROMPT = 3.0
#: talk_seconds is compared with what the phones measured.
TOLERANCE = 0.5


Play = Callable[[Stage], Awaitable[None]]


async def talk(stage: Stage, caller: Phone, call: PhoneCall, *, ring: float = 20.0, seconds: float = TALK) -> bool:
    """Wait for the answer, talk, let the caller hang up; whether it was answered."""
    answered = await caller.answered(call, ring)
    if answered:
        await asyncio.sleep(seconds)
        caller.hang_up(call)
    await caller.ended(call)
    return answered


def both_hear(stage: Stage, call: PhoneCall, caller: str, caller_hz: int, called: str) -> None:
    """Check that each side heard the other's tone."""
    taken = next((taken for taken in stage.phone_calls(called) if taken.incoming and taken.answered.is_set()), None)
    stage.check(
        f"{caller} hears {called}'s tone of {TONES[called]} Hz: {call.heard}", call.heard.tone_seconds(TONES[called]) >= HEARD_SECONDS
    )
    heard = taken.heard if taken is not None else tones.hear([])
    stage.check(f"{called} hears {caller}'s tone of {caller_hz} Hz: {heard}", heard.tone_seconds(caller_hz) >= HEARD_SECONDS)


def recorded(stage: Stage, told: Told, status: str, answered_by: str, talk_seconds: float | None) -> None:
    """Check the record."""
    stage.check(
        f"the record says {status}, answered by {answered_by or 'nobody'}", (told.status, told.record.answered_by) == (status, answered_by)
    )
    if talk_seconds is not None:
        close = abs(told.record.talk_seconds - talk_seconds) <= TOLERANCE
        stage.check(f"talk_seconds {told.record.talk_seconds:.3f} is what was talked ({talk_seconds:g} s)", close)


async def main_in_hours(stage: Stage) -> None:
    stage.begin("The main number in opening hours", MORNING, {"101": Behaviour(ring_seconds=1.0)})
    call = await stage.outside.call("+41215550100", caller=OUTSIDE)
    await talk(stage, stage.outside, call)
    told = await stage.told(call)
    recorded(stage, told, "answered", "dumas", TALK)
    both_hear(stage, call, "the caller", OUTSIDE_HZ, "101")
    stage.check("the trace says that the office was open", "schedule/office" in told.trace(matched=True))
    stage.check("Mme Dumas sees who calls", stage.phone_calls("101")[0].shown == OUTSIDE)


async def main_out_of_hours(stage: Stage) -> None:
    stage.begin("The main number in the evening: the mailbox, and its e-mail", EVENING, {})
    before = delivered(stage.system.maildir)
    call = await stage.outside.call("+41215550100", caller=OUTSIDE)
    call_id = await stage.tap.call_id(call.sip_call_id)
    stage.check("the mailbox answers", await stage.outside.answered(call))
    await stage.tap.until(
        lambda event: event.callid == call_id and event.type == "carillon.call.recording_started.v1", 40, "the start of the recording"
    )
    await asyncio.sleep(AFTER_BEEP + SPOKEN)
    stage.outside.hang_up(call)
    await stage.outside.ended(call)
    told = await stage.told(call)
    recorded(stage, told, "voicemail", "main", None)
    closed = {"schedule/office", "schedule/on-call"} <= told.trace(matched=False)
    stage.check("the trace says that nothing was open", closed and "mailbox/main" in told.trace(matched=True))
    heard = call.heard
    stage.check(f"the caller hears the greeting and the beep: {heard}", heard.other >= 2 and heard.tone_seconds(1000) >= 0.1)
    post = await next_post(stage.system.maildir, before, POST_SECONDS)
    stage.say(f"\n  e-mail to {post.to}, {post.date}\n    {post.subject}\n    {post.audio_name}, {len(post.audio)} bytes")
    for line in post.text.strip().splitlines():
        stage.say(f"    | {line}")
    stage.check(
        "the e-mail goes to the mailbox's address and names the caller",
        "accueil@dupont.example" in post.to and OUTSIDE in post.subject + post.text,
    )
    message = tones.hear(wav.read(post.audio)) if post.audio else tones.hear([])
    stage.check(f"its WAV is what was spoken, a tone of {OUTSIDE_HZ} Hz: {message}", abs(message.tone_seconds(OUTSIDE_HZ) - SPOKEN) <= 1.0)
    stage.check("there was one e-mail, not two", len(delivered(stage.system.maildir) - before) == 1)


async def sales_in_parallel(stage: Stage) -> None:
    stage.begin("Sales in the morning: all sales phones at once", MORNING, {"105": NEVER, "106": Behaviour(ring_seconds=1.5)})
    call = await stage.outside.call("+41215550110", caller=OUTSIDE)
    await talk(stage, stage.outside, call)
    told = await stage.told(call)
    recorded(stage, told, "answered", "elise", TALK)
    both_hear(stage, call, "the caller", OUTSIDE_HZ, "106")
    stage.check("both phones rang", stage.phone_calls("105") and stage.phone_calls("106"))
    other = stage.phone_calls("105")[0].cancelled if stage.phone_calls("105") else ""
    stage.check(f"the other phone is told that it was answered elsewhere: {other}", "200" in other or "elsewhere" in other.lower())
    stage.check("its leg ends as answered elsewhere", any(leg.cause == "answered_elsewhere" for leg in told.record.legs))


async def support_in_turn(stage: Stage) -> None:
    stage.begin("Support by its internal number: one after another", MORNING, {"103": NEVER, "104": Behaviour(ring_seconds=1.0)})
    caller = stage.phones["102"]
    call = await caller.call("200")
    await talk(stage, caller, call)
    told = await stage.told(call)
    recorded(stage, told, "answered", "claire", TALK)
    both_hear(stage, call, "102", TONES["102"], "104")
    legs = {leg.party: leg for leg in told.record.legs}
    stage.check("the first did not answer", "bernard" in legs and legs["bernard"].cause == "no_answer")
    in_turn = {"bernard", "claire"} <= set(legs) and legs["claire"].offered_at.ToDatetime() > legs["bernard"].offered_at.ToDatetime()
    stage.check("the second was rung after the first", in_turn)


async def weekend_on_call(stage: Stage) -> None:
    first, second = "+41795550103", "+41795550105"
    stage.begin("Saturday: on-call duty, one mobile, then the next", SATURDAY, {first: NEVER, second: Behaviour(ring_seconds=1.0)})
    call = await stage.outside.call("+41215550100", caller=OUTSIDE)
    await talk(stage, stage.outside, call)
    told = await stage.told(call)
    recorded(stage, told, "answered", second, TALK)
    rung = [taken.peer for taken in stage.carrier.calls if taken.incoming]
    stage.check(f"the carrier was asked for both mobiles in turn: {', '.join(rung)}", rung == [first, second])
    stage.check(f"the caller hears the one who answered: {call.heard}", call.heard.tone_seconds(CARRIER_HZ) >= HEARD_SECONDS)
    taken = next((taken for taken in stage.carrier.calls if taken.answered.is_set()), None)
    stage.check(f"and is heard by them: {taken.heard if taken else '-'}", taken and taken.heard.tone_seconds(OUTSIDE_HZ) >= HEARD_SECONDS)
    duty = "schedule/on-call" in told.trace(matched=True) and "schedule/office" in told.trace(matched=False)
    stage.check("the trace says that the office was closed and someone on duty", duty)


async def keyed(stage: Stage, call: PhoneCall, *keys: str) -> None:
    """Press a key in each menu, as soon as its prompt has begun to be heard."""
    call_id = await stage.tap.call_id(call.sip_call_id)
    await stage.outside.answered(call)
    for count, key in enumerate(keys, 1):

        def asked(count: int = count) -> bool:
            steps = [event for event in stage.tap.of_call(call_id) if event.data.get("step") == "gather"]
            return len(steps) >= count

        await stage.tap.until(lambda _, asked=asked: asked(), 20, f"question {count}")  # type: ignore[misc]
        await asyncio.sleep(0.7)
        stage.outside.press(call, key)


async def menu_in_english(stage: Stage) -> None:
    stage.begin("The bilingual menu: English, then sales", MORNING, {"105": NEVER, "106": Behaviour(ring_seconds=0.5)})
    call = await stage.outside.call("+41215550120", caller=OUTSIDE)
    await keyed(stage, call, "2", "2")
    await stage.phones["106"].next_call()
    await asyncio.sleep(0.5 + TALK)
    stage.outside.hang_up(call)
    await stage.outside.ended(call)
    told = await stage.told(call)
    recorded(stage, told, "answered", "elise", None)
    stage.check("the keys were heard once each", [data["digits"] for data in told.data("digits_gathered")] == ["2", "2"])
    cut = told.seconds("routing_decided", "digits_gathered")
    stage.check(f"a key stops the prompt, which speaks longer than {cut:.1f} s", cut < SHORTEST_PROMPT)
    both_hear(stage, call, "the caller", OUTSIDE_HZ, "106")
    stage.check("the second menu is the English one", "menu/services-en key 2" in told.trace(matched=True))


async def menu_with_a_wrong_key(stage: Stage) -> None:
    stage.begin("A wrong key, then French, then support", MORNING, {"103": Behaviour(ring_seconds=0.5)})
    call = await stage.outside.call("+41215550120", caller=OUTSIDE)
    await keyed(stage, call, "9", "1", "1")
    await stage.phones["103"].next_call()
    await asyncio.sleep(0.5 + TALK)
    stage.outside.hang_up(call)
    await stage.outside.ended(call)
    told = await stage.told(call)
    recorded(stage, told, "answered", "bernard", None)
    stage.check("the keys were heard once each", [data["digits"] for data in told.data("digits_gathered")] == ["9", "1", "1"])
    both_hear(stage, call, "the caller", OUTSIDE_HZ, "103")
    again = "menu/language" in told.trace(matched=False) and "menu/language key 1" in told.trace(matched=True)
    stage.check("the menu came again after the wrong key", again)


async def busy(stage: Stage) -> None:
    stage.begin("A busy colleague", MORNING, {"104": BUSY})
    call = await stage.phones["101"].call("104")
    answered = await talk(stage, stage.phones["101"], call)
    told = await stage.told(call)
    stage.check("the caller is told that she is busy (486)", not answered and call.status == 486)
    recorded(stage, told, "busy", "", 0)


async def busy_goes_to_sales(stage: Stage) -> None:
    stage.begin("Alain Dupont is busy: his calls go to sales", MORNING, {"102": BUSY, "105": Behaviour(ring_seconds=0.5), "106": NEVER})
    call = await stage.outside.call("+41215550102", caller=OUTSIDE)
    await talk(stage, stage.outside, call)
    told = await stage.told(call)
    recorded(stage, told, "answered", "david", TALK)
    both_hear(stage, call, "the caller", OUTSIDE_HZ, "105")


async def unreachable_goes_to_his_mobile(stage: Stage) -> None:
    stage.begin("Alain Dupont's phone is unreachable: his mobile", MORNING, {"+41795550102": Behaviour(ring_seconds=0.5)})
    await stage.phones["102"].register(0)
    call = await stage.phones["101"].call("102")
    await talk(stage, stage.phones["101"], call)
    told = await stage.told(call)
    await stage.phones["102"].register()
    recorded(stage, told, "answered", "+41795550102", TALK)
    stage.check(f"the mobile is heard: {call.heard}", call.heard.tone_seconds(CARRIER_HZ) >= HEARD_SECONDS)


async def extension_to_extension(stage: Stage) -> None:
    stage.begin("Extension to extension; the one who was called hangs up", MORNING, {"106": Behaviour(ring_seconds=0.5, talk_seconds=TALK)})
    call = await stage.phones["101"].call("106")
    await stage.phones["101"].answered(call)
    await stage.phones["101"].ended(call)
    told = await stage.told(call)
    recorded(stage, told, "answered", "elise", TALK)
    both_hear(stage, call, "101", TONES["101"], "106")
    stage.check("the record says who hung up", told.record.ended_by == "callee")


async def outbound(stage: Stage) -> None:
    stage.begin("Outbound, dialled as at home: 079 123 45 67", MORNING, {"+41791234567": Behaviour(ring_seconds=0.5)})
    call = await stage.phones["103"].call("0791234567")
    await talk(stage, stage.phones["103"], call)
    told = await stage.told(call)
    recorded(stage, told, "answered", "+41791234567", TALK)
    taken = next((taken for taken in stage.carrier.calls if taken.incoming), None)
    stage.check("the carrier was asked for +41791234567", taken is not None and taken.peer == "+41791234567")
    stage.check("it shows his own number", taken is not None and taken.shown == "+41215550103")
    stage.check(
        f"the carrier hears 103: {taken.heard if taken else '-'}",
        taken is not None and taken.heard.tone_seconds(TONES["103"]) >= HEARD_SECONDS,
    )


#: By the name that `carillon demo --only` takes, in the order of the story.
SCENES: dict[str, Play] = {
    "in-hours": main_in_hours,
    "out-of-hours": main_out_of_hours,
    "sales": sales_in_parallel,
    "support": support_in_turn,
    "on-call": weekend_on_call,
    "menu": menu_in_english,
    "wrong-key": menu_with_a_wrong_key,
    "busy": busy,
    "busy-forwarded": busy_goes_to_sales,
    "unreachable": unreachable_goes_to_his_mobile,
    "internal": extension_to_extension,
    "outbound": outbound,
}
