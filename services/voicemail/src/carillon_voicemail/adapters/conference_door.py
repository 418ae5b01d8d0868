"""Looks at what callers type at conference rooms; see `pin_tries`."""

from carillon_contracts.config import ConferenceRoom
from carillon_voicemail.adapters.pin_tries import PinTries, is_pin
from carillon_voicemail.domain.conference import Verdict, wants_creator


class ConferenceDoor:
    """Tells what the digits are."""

    def __init__(self, tries: PinTries) -> None:
        self._tries = tries

    async def look(self, tenant: str, room: ConferenceRoom, caller: str, digits: str) -> Verdict:
        """What the digits are; nothing typed is neither right nor wrong. Raises StoreUnavailable."""
        if not digits:
            return ""

        async def compare() -> Verdict:
            if digits.startswith("*"):
                return "creator" if await is_pin(room.creator_pin_hash, wants_creator(digits)) else "wrong"
            if not room.participant_password_hash:
                return ""
            return "participant" if await is_pin(room.participant_password_hash, digits) else "wrong"

        verdict = await self._tries.judged(tenant, room.id, caller, compare)
        return "locked" if verdict is None else verdict
