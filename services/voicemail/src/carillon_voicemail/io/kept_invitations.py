"""Takes invitations back whose room was deleted, or is not there any more at their time."""

import asyncio

from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_voicemail.adapters.postgres_invitations import PostgresInvitations
from carillon_voicemail.domain.kept_invitation import Change, KeptInvitation, Refused, cancel, stands
from carillon_voicemail.ports import Configurations, StoreUnavailable, Wake

EVERY_SECONDS = 10.0
_log = get_logger("invitations")


class InvitationKeeper:
    """Run `run` as a task; `wake`: a letter is to be sent."""

    def __init__(self, kept: PostgresInvitations, configurations: Configurations, wake: Wake, clock: Clock) -> None:
        self._kept = kept
        self._configurations = configurations
        self._wake = wake
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled; the database's absence only delays."""
        while True:
            try:
                await self.look()
                await self._kept.forget(self._clock.now())
            except StoreUnavailable as away:
                _log.warning("store_unavailable", error=str(away))
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> int:
        """Once over all of them; how many were taken back."""
        now, after, taken_back = self._clock.now(), None, 0
        while page := await self._kept.upcoming(now, after=after):
            after = page[-1]
            for each in page:
                if not stands(each, self._configurations.of(each.tenant)):
                    taken_back += await self._take_back(each)
        return taken_back

    async def _take_back(self, invitation: KeptInvitation) -> bool:
        now, config = self._clock.now(), self._configurations.of(invitation.tenant)

        def decide(kept: KeptInvitation | None) -> Change:
            if kept is None or stands(kept, config):
                raise Refused("invitation_id", "was changed meanwhile")
            return cancel(kept, config, now)

        try:
            counts = await self._kept.change(invitation.tenant, invitation.invitation_id, now, decide)
        except Refused:
            return False
        _log.info("invitation_taken_back", tenant=invitation.tenant, room=invitation.room_id, guests=sum(counts.values()))
        self._wake()
        return True
