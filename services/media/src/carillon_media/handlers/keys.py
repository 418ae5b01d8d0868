"""Keys told to the far ends of legs, and keys of one leg told to the other it talks with; `domain.keys` says in which kind.

Invariant: a leg's INFOs go one after another, in order, also when its far end goes on in another call meanwhile; what is refused as INFO is
pressed as tones, and so are all keys after it. What a phone tells by INFO beside telephone events is told to who understands events once it
is known that no events tell it: those pass by themselves.
"""

import asyncio
from collections.abc import Container
from dataclasses import replace
from typing import TYPE_CHECKING

from carillon_media.domain import outputs
from carillon_media.domain.key_memory import SAME_KEY_SECONDS, Info
from carillon_media.domain.keys import KeyKind, Manner, Ways, duration, kind_for, told_as
from carillon_media.handlers.board import KEPT
from carillon_media.handlers.legs import LegIo, has_keys_in_audio
from carillon_rtp.protocol import PlaneError
from carillon_sip.commands import RequestOut
from carillon_sip.outputs import RequestTimedOut, ResponseReceived

if TYPE_CHECKING:
    from carillon_media.handlers.actor import CallActor
    from carillon_media.handlers.board import Board

#: INFOs of one leg that may wait for the one before.
MOST_WAITING = 64
_PRESSED_MS = 100


class Keys:
    """Of all calls of a node."""

    def __init__(self, board: "Board") -> None:
        self._board = board
        self._asked: dict[str, LegIo] = {}

    def ways(self, actor: "CallActor", leg: LegIo) -> Ways:
        """What is known of the leg's far end."""
        known = actor.call.legs.get(leg.leg_id)
        return Ways(
            events=leg.told is not None and leg.told.telephone_event is not None,
            takes_info=actor.parts.sip.allows(leg.session, "INFO"),
            # Before the answer there is nothing that could be asked within its session.
            has_sent_info=leg.keys.by_info and leg.answered,
            refused_info=leg.keys.refuses_info,
            has_sent_tones=leg.keys.by_tones,
            trunk=known is not None and known.is_trunk,
        )

    async def pass_on(self, actor: "CallActor", output: outputs.PassKey) -> None:
        """A key of the other side, unless the leg has it already."""
        leg, by = actor.legs.get(output.leg_id), actor.legs.get(output.by)
        kind = told_as(output.heard, self.ways(actor, leg)) if leg is not None else None
        if leg is None or kind is None:
            return
        if by is None or by.keys.tells_twice is False or has_keys_in_audio(by) or (output.heard, kind) != ("info", "events"):
            await self._send(actor, leg, output.key_id, output.key, kind, duration(output.held_ms))
        elif by.keys.tells_twice is None and len(by.keys.doubtful) < MOST_WAITING:
            by.keys = replace(by.keys, doubtful=(*by.keys.doubtful, output))
            if len(by.keys.doubtful) == 1:
                self._board.spawn(self._settle(actor, by))

    async def _settle(self, actor: "CallActor", by: LegIo) -> None:
        """Whether its keys come as events as well, which reach the other side by themselves; else what has waited is told now, in order."""
        await asyncio.sleep(SAME_KEY_SECONDS)
        while by.keys.doubtful:
            output, rest = by.keys.doubtful[0], by.keys.doubtful[1:]
            by.keys = replace(by.keys, doubtful=rest)
            leg = actor.legs.get(output.leg_id)
            if leg is not None and not by.keys.tells_twice:
                await self._send(actor, leg, output.key_id, output.key, "events", duration(output.held_ms))
        by.keys = replace(by.keys, tells_twice=by.keys.tells_twice or False)
        actor.post(KEPT)

    def take_up(self, actor: "CallActor", leg: LegIo, under_way: Container[str]) -> None:
        """The leg is one of a process that died. Its INFO that is under way, by its transaction, is answered to this one; it goes on behind
        one that was answered to that."""
        if leg.keys.infos and leg.keys.infos[0].transaction not in under_way:
            leg.keys = replace(leg.keys, infos=leg.keys.infos[1:])
            if leg.keys.infos:
                self._tell(actor, leg)
        elif leg.keys.infos:
            key, *rest = leg.keys.infos
            leg.keys = replace(leg.keys, infos=(replace(key, again=True), *rest))
            self._asked[key.transaction] = leg

    def go_on(self, actor: "CallActor", leg: LegIo) -> None:
        """As `take_up`, when the media plane can be told keys."""
        if leg.keys.doubtful:
            self._board.spawn(self._settle(actor, leg))

    async def press(self, actor: "CallActor", leg: LegIo, digits_id: str, digits: str, manner: Manner) -> None:
        """Keys that somebody presses on this side."""
        kind = kind_for(self.ways(actor, leg)) if manner == "auto" else manner
        await self._send(actor, leg, digits_id, digits, kind, _PRESSED_MS)

    async def _send(self, actor: "CallActor", leg: LegIo, digits_id: str, digits: str, kind: KeyKind, on_ms: int) -> None:
        if kind == "info" and len(leg.keys.infos) + len(digits) <= MOST_WAITING:
            waiting = bool(leg.keys.infos)
            more = [Info(f"{digits_id}/{number}", digit, on_ms) for number, digit in enumerate(digits)]
            leg.keys = replace(leg.keys, infos=(*leg.keys.infos, *more))
            if not waiting:
                self._tell(actor, leg)
            return
        try:
            await actor.parts.plane.send_digits(leg.plane, digits_id, digits, on_ms=on_ms, tones=kind != "events", after=True)
        except PlaneError as error:
            actor.parts.quiet.warning("digits cannot be sent", call_id=actor.call.facts.call_id, error=str(error))

    def _tell(self, actor: "CallActor", leg: LegIo) -> None:
        """The oldest key that waits, by INFO."""
        key, *rest = leg.keys.infos
        body = f"Signal={key.digit}\r\nDuration={key.on_ms}\r\n".encode()
        request = RequestOut("INFO", session=leg.session, body=body, content_type="application/dtmf-relay")
        transaction = actor.parts.sip.request(request)
        self._asked[transaction] = leg
        leg.keys = replace(leg.keys, infos=(replace(key, transaction=transaction), *rest))

    def responded(self, output: ResponseReceived | RequestTimedOut) -> bool:
        """An answer to a request; False: it is none of these."""
        if output.transaction not in self._asked:
            return False
        status = output.response.status if isinstance(output, ResponseReceived) else None
        if status is None or status >= 200:
            self._board.spawn(self._answered(self._asked.pop(output.transaction), status))
        return True

    async def _answered(self, leg: LegIo, status: int | None) -> None:
        """None: not at all."""
        found = self._board.leg_of(leg.session)
        if found is None:  # It has hung up, or is nobody's at this moment.
            leg.keys = replace(leg.keys, infos=())
            return
        actor, told = found[0], leg.keys.infos
        if status is not None and status < 300:
            leg.keys = replace(leg.keys, infos=told[1:])
            if leg.keys.infos:
                self._tell(actor, leg)
        else:
            leg.keys = replace(leg.keys, infos=(), refuses_info=True)
            for key in told:
                if status is not None or not key.again:
                    await self._send(actor, leg, key.key_id, key.digit, "tones", key.on_ms)
        actor.post(KEPT)
