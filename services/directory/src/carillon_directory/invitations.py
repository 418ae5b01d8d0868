"""Letters with a code to choose a password with: to new users, and to who forgot theirs."""

from collections.abc import Callable
from datetime import timedelta

from carillon_contracts.config import User
from carillon_contracts.config.features import codes_of
from carillon_contracts.letter import LetterRequested, letter_event
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.postgres_logins import PostgresLogins
from carillon_directory.domain import logins
from carillon_directory.domain import welcome as letters
from carillon_directory.passwords import Passwords
from carillon_directory.people import People, check_password, login_of
from carillon_kit.clock import Clock
from carillon_kit.errors import FailedPrecondition, NotFound, Unauthenticated, Unavailable
from carillon_kit.ids import Ids

#: Who asks again for a new password within it is sent no second letter, which would void the code of the first.
RESET_PAUSE = timedelta(minutes=1)
_CODE_BYTES = 16
_ATTEMPTS = 10
_BUSY = "the tenant is being changed by others all the time; try again"
Compose = Callable[[TenantConfig, User, letters.Access], LetterRequested]


class Invitations:
    """Letters that are asked for, and the codes that come of them."""

    def __init__(
        self,
        people: People,
        store: PostgresLogins,
        passwords: Passwords,
        clock: Clock,
        ids: Ids,
        console_url: str = "",
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._people = people
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._ids = ids
        self._console_url = console_url
        self._wake = wake

    async def choose_password(self, code: str, password: str) -> str:
        """Set the password with a code from a letter; the login. Raises `Unauthenticated`, `InvalidArgument`."""
        now, digest = self._clock.now(), logins.digest(logins.typed(code))
        found = await self._store.invited(digest, now)
        person = await self._people.person(*found) if found is not None else None
        if person is None:
            raise Unauthenticated("the code is not good (any more)")
        check_password("password", password, person)
        if await self._store.use_invitation(digest, now, await self._passwords.hash(password)) is None:
            raise Unauthenticated("the code is not good (any more)")
        self._people.tell_changed(person.tenant, "password_set", person.user_id, person.subject)
        return person.login

    async def forgot_password(self, login: str) -> None:
        """A letter with a code, if there is such a user with an address; nothing is told of that. A code of just now stays good instead."""
        for _ in range(_ATTEMPTS):
            person = await self._people.named(login)
            if person is None or not person.tenant:
                return
            config = await self._people.config(person.tenant)
            user = config.users.get(person.user_id)
            if user is None or not user.email:
                return
            if await self._invite(config, user, letters.reset, timedelta(hours=letters.RESET_HOURS), RESET_PAUSE):
                return
        raise Unavailable(_BUSY)

    async def welcome(self, tenant: str, user_id: str, by: str) -> str:
        """Send a user the letter with their access; the address. Raises `NotFound`, `FailedPrecondition`."""
        for _ in range(_ATTEMPTS):
            config = await self._people.config(tenant)
            user = config.users.get(user_id)
            if user is None:
                raise NotFound(f"user {user_id!r}")
            if not user.email:
                raise FailedPrecondition([("EMAIL", f"user/{user_id}", "has no e-mail address")])
            if await self._invite(config, user, letters.welcome, timedelta(days=letters.WELCOME_DAYS)):
                self._people.tell_changed(tenant, "welcomed", user_id, by)
                return str(user.email)
        raise Unavailable(_BUSY)

    async def _invite(self, config: TenantConfig, user: User, compose: Compose, valid: timedelta, pause: timedelta = timedelta()) -> bool:
        """False: the configuration is not the newest any more. A letter goes to who the user is when it is written, or to nobody."""
        code = "-".join(logins.fours(self._ids.token(_CODE_BYTES)))
        voicemail = codes_of(config.tenant.feature_codes).get("voicemail", "")
        letter = compose(config, user, letters.Access(login_of(config, user), code, self._console_url, voicemail))
        now, event_id = self._clock.now(), self._ids.uuid7()
        about = f"user/{user.id}"
        told = letter_event(letter, config.tenant_id, event_id=event_id, source="carillon/directory", about=about, at=now)
        digest = logins.digest(logins.typed(code))
        done = await self._store.invite(config.tenant_id, config.seq, user.id, digest, now + valid, pause, (event_id, *told))
        self._wake()
        return done
