"""What a call wants of the media plane: legs joined and parted, prompts and music played, voices recorded.

Invariant: whatever the plane refuses comes back as an input, or changes nothing because what it was to end is gone already.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from carillon_kit.logs import get_logger
from carillon_media.domain import inputs, outputs
from carillon_media.domain.state import CALLER, Closing, Recording
from carillon_media.handlers import identifying
from carillon_media.handlers.board import Restore, Sync
from carillon_media.handlers.legs import LegIo, PortLost
from carillon_rtp.protocol import PlaneError
from carillon_sip.errors import SipError

if TYPE_CHECKING:
    from carillon_media.handlers.actor import CallActor

_log = get_logger(__name__)
#: Codecs that carry more than telephone speech.
WIDE_BAND = ("G722", "OPUS")


async def bridge_legs(actor: "CallActor", output: outputs.BridgeLegs) -> None:
    if not await join(actor, output.a, output.b):
        actor.post(inputs.MediaLost())
        return
    identifying.connect(actor, output.a, output.b)


async def join(actor: "CallActor", a: str, b: str) -> bool:
    one, other = actor.legs.get(a), actor.legs.get(b)
    if one is None or other is None:
        return False
    try:
        await actor.ports.agree(one, _codec_of(other))
        await actor.ports.agree(other, _codec_of(one))
        await actor.ports.join(one, other)
    except (PlaneError, PortLost, SipError) as error:
        actor.parts.quiet.warning("legs cannot be joined", call_id=actor.call.facts.call_id, error=str(error))
        return False
    return True


async def unbridge(actor: "CallActor", output: outputs.UnbridgeLeg) -> None:
    leg = actor.legs.get(output.leg_id)
    if leg is not None:
        await attempt(actor, actor.ports.part(leg, actor.legs.get(leg.bridged_with)))


async def play_prompts(actor: "CallActor", output: outputs.PlayTo) -> None:
    prompts, leg = actor.parts.prompts, actor.legs[output.leg_id]
    try:
        facts = actor.call.facts
        files = (
            await prompts.files(facts.tenant, output.prompts, facts.call_id, wide=_wide(leg)) if output.prompts else [prompts.ringback()]
        )
        await actor.parts.plane.play(leg.plane, output.play_id, files, loop=output.loop, barge_in=output.barge_in)
    except (PlaneError, OSError) as error:
        actor.parts.quiet.warning("prompts cannot be played", call_id=actor.call.facts.call_id, error=str(error))
        actor.post(inputs.PlayFinished(output.play_id, 0))


async def play_early(actor: "CallActor", output: outputs.PlayEarly) -> None:
    """183 and audio; a caller that has offered none, or cannot be played to, hears its own phone ring."""
    caller, parts, facts = actor.legs[CALLER], actor.parts, actor.call.facts
    try:
        if not caller.offer:
            raise SipError("no offer")
        media = await actor.ports.agree(caller)
        files = await parts.prompts.files(facts.tenant, output.prompts, facts.call_id, wide=_wide(caller))
        await actor.ports.tell(caller)
        await parts.plane.play(caller.plane, output.play_id, files, loop=output.loop)
        parts.sip.ring(caller.session, 183, media.body)
    except (PlaneError, SipError, OSError) as error:
        parts.quiet.warning("nothing is heard before the answer", call_id=facts.call_id, error=str(error))
        if output.loop:
            parts.sip.ring(caller.session, 180)
        actor.post(inputs.PlayFinished(output.play_id, 0))


async def play_music(actor: "CallActor", output: outputs.PlayMusic) -> None:
    leg, facts = actor.legs[output.leg_id], actor.call.facts
    try:
        music = await actor.parts.prompts.hold_music(
            facts.tenant, output.whose, facts.call_id, leg.music_heard, wide=_wide(leg), playlist_id=output.playlist_id
        )
        await actor.parts.plane.play(leg.plane, output.play_id, music, loop=True)
        leg.music_since = actor.parts.clock.monotonic()
    except (PlaneError, OSError) as error:
        actor.parts.quiet.warning("no music on hold", call_id=actor.call.facts.call_id, error=str(error))


async def stop_play(actor: "CallActor", output: outputs.StopPlay) -> None:
    leg = actor.legs[output.leg_id]
    if leg.music_since is not None:
        leg.music_heard += actor.parts.clock.monotonic() - leg.music_since
        leg.music_since = None
    await attempt(actor, actor.parts.plane.stop_play(leg.plane))


async def record(actor: "CallActor", output: outputs.RecordFrom) -> None:
    path = actor.parts.spool.path_for(output.recording_id)
    try:
        await actor.parts.plane.record(
            actor.legs[output.leg_id].plane,
            output.recording_id,
            path,
            max_ms=output.max_ms,
            silence_ms=output.silence_ms,
            finish_digits=output.finish_digits,
            sides=output.sides,
            tone_ms=output.tone_ms,
        )
    except PlaneError as error:
        actor.parts.quiet.warning("nothing can be recorded", call_id=actor.call.facts.call_id, error=str(error))
        actor.post(inputs.RecordingFinished(output.recording_id, "", 0, 0, "stopped"))


async def pause_recording(actor: "CallActor", output: outputs.PauseRecording) -> None:
    leg, plane = actor.legs[output.leg_id], actor.parts.plane
    await attempt(actor, plane.pause_record(leg.plane) if output.paused else plane.resume_record(leg.plane))


async def stop_recording(actor: "CallActor", output: outputs.StopRecording) -> None:
    await attempt(actor, actor.parts.plane.stop_record(actor.legs[output.leg_id].plane))


async def listen(actor: "CallActor", output: outputs.ListenTo) -> None:
    leg = actor.legs.get(output.leg_id)
    if leg is not None:
        await actor.ports.listen(leg, output.tones)


async def close_media(actor: "CallActor", legs: Iterable[LegIo]) -> None:
    if opened := [leg.plane for leg in legs if leg.media is not None]:
        await attempt(actor, actor.parts.plane.close_all(opened))


async def attempt(actor: "CallActor", command: Awaitable[object]) -> None:
    """A command whose refusal changes nothing: what it ends is gone already."""
    try:
        await command
    except PlaneError as error:
        _log.debug("media plane", call_id=actor.call.facts.call_id, error=str(error))


async def sync(actor: "CallActor", output: Sync) -> None:
    for leg in actor.legs.values():
        try:
            await actor.ports.tell(leg)
        except PlaneError as error:
            actor.parts.quiet.warning("media plane", call_id=actor.call.facts.call_id, error=str(error))


async def restore(actor: "CallActor", output: Restore) -> None:
    """Same ports, same far ends, same bridges; what was recorded is over, what played begins again."""
    try:
        async with actor.parts.restoring:
            await actor.ports.restore(leg for leg in actor.legs.values() if _lives(actor, leg))
    except (PlaneError, PortLost) as error:
        actor.parts.quiet.warning("a call lost its audio", call_id=actor.call.facts.call_id, error=str(error))
        actor.post(inputs.MediaLost())
        return
    await _go_on(actor)


def _lives(actor: "CallActor", leg: LegIo) -> bool:
    known = actor.call.legs.get(leg.leg_id)
    return known is not None and known.state != "ended"


async def _go_on(actor: "CallActor") -> None:
    """Let the machine go on from what the old plane process will never finish."""
    phase = actor.call.state.phase
    if not isinstance(phase, Closing):
        actor.post(inputs.MediaRestored())
    if isinstance(phase, Recording) and phase.beep_id:
        actor.post(inputs.PlayFinished(phase.beep_id, 0))
    for recording_id in tuple(actor.call.state.tapes):
        await actor.weigh(recording_id, "node_failure")


def _wide(leg: LegIo) -> bool:
    """Whether more than telephone speech is heard there."""
    return leg.media is not None and leg.media.codec in WIDE_BAND


def _codec_of(leg: LegIo) -> str:
    """What the leg speaks already; empty: nothing yet."""
    return leg.media.codec if leg.media is not None else ""


DO: Mapping[type, Callable[["CallActor", Any], Awaitable[None]]] = {
    outputs.BridgeLegs: bridge_legs,
    outputs.UnbridgeLeg: unbridge,
    outputs.PlayTo: play_prompts,
    outputs.PlayEarly: play_early,
    outputs.PlayMusic: play_music,
    outputs.StopPlay: stop_play,
    outputs.RecordFrom: record,
    outputs.StopRecording: stop_recording,
    outputs.PauseRecording: pause_recording,
    outputs.ListenTo: listen,
    Sync: sync,
    Restore: restore,
}
