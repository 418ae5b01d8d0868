"""Finding the running system: `run.json` of a data folder, a tenant of it, and channels to its services.

Always: what is missing is told with what to do about it; no command guesses an address.
"""

import argparse
import json
import os
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc.aio
from google.rpc import error_details_pb2, status_pb2

from carillon_cli.errors import CliError
from carillon_cli.supervisor.layout import DEFAULT_DATA
from carillon_cli.supervisor.lock import held
from carillon_kit.grpc_client import channel

T = TypeVar("T")
#: A question to a service of the same machine.
RPC_SECONDS = 10.0
#: Applying a company of tens of thousands of users.
APPLY_SECONDS = 300.0

#: What a refusal speaks of -> where to look.
HINTS = {
    "calls/": "`carillon calls` lists those that are up, `carillon records` those that are over.",
    "messages/": "`carillon messages` lists them.",
    "ban of ": "`carillon bans` lists who is kept out.",
    "no device of user": "Register a phone with that user's `sip_user` and `sip_password` of run.json first.",
    "users/": "run.json has the `id` of each user.",
}


@dataclass(frozen=True, slots=True)
class Phone:
    """A user of `run.json` with what a phone needs to be theirs."""

    user_id: str
    name: str
    extension: str
    sip_user: str
    sip_password: str
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class System:
    """A running system as its `run.json` describes it."""

    folder: Path
    content: dict[str, Any]

    @property
    def sip_udp(self) -> tuple[str, int]:
        host, _, port = str(self.content["sip"]["udp"]).rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def nats_url(self) -> str:
        return str(self.content["nats"]["url"])

    @property
    def maildir(self) -> Path:
        return Path(self.content["mail"]["maildir"])

    @property
    def clock(self) -> Path | None:
        found = self.content.get("test_clock")
        return None if found is None else Path(found)

    @property
    def tenants(self) -> Sequence[str]:
        return sorted(self.content["tenants"])

    def tenant(self, wanted: str | None) -> str:
        """The tenant asked for, that of `CARILLON_TENANT`, or the only one there is."""
        wanted = wanted or os.environ.get("CARILLON_TENANT") or None
        if wanted is not None:
            if wanted not in self.tenants:
                raise CliError(f"there is no tenant {wanted!r}", f"Known: {', '.join(self.tenants) or 'none'}.")
            return wanted
        match self.tenants:
            case [only]:
                return only
            case []:
                raise CliError("there is no tenant yet", "Load one: carillon apply FILE")
            case several:
                raise CliError("there are several tenants", f"Choose one with --tenant or CARILLON_TENANT: {', '.join(several)}.")

    def entry(self, tenant: str) -> dict[str, Any]:
        """The tenant's part of `run.json`."""
        found: dict[str, Any] = self.content["tenants"][tenant]
        return found

    def phones(self, tenant: str) -> list[Phone]:
        """Users whose device's password is known."""
        return [
            Phone(user["id"], user["name"], user["extension"], user["sip_user"], user["sip_password"], tuple(user["numbers"]))
            for user in self.entry(tenant)["users"]
            if "sip_password" in user
        ]

    def phone(self, tenant: str, wanted: str) -> Phone:
        """By user id, extension, SIP user or one of its numbers."""
        for found in self.phones(tenant):
            if wanted in (found.user_id, found.extension, found.sip_user, *found.numbers):
                return found
        known = ", ".join(f"{found.extension or '-'} {found.sip_user}" for found in self.phones(tenant))
        raise CliError(f"no phone {wanted!r} in {tenant} has a known password", f"Known: {known or 'none'}.")

    def carrier(self, tenant: str) -> tuple[str, int]:
        """Address of the first trunk, where the test carrier stands."""
        trunks = self.entry(tenant)["trunks"]
        if not trunks:
            raise CliError(f"{tenant} has no trunk, so there is no carrier")
        host, _, port = str(trunks[0]["address"]).rpartition(":")
        return host.strip("[]"), int(port)

    def channel(self, service: str, tenant: str | None = None) -> grpc.aio.Channel:
        """A channel to a service as the administrator, for one tenant."""
        return channel(str(self.content["grpc"][service]), str(self.content["admin_token"]), tenant)


def load(folder: Path) -> System:
    """The system that runs on the data folder. Raises `CliError` when none does."""
    path = folder / "run.json"
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CliError(
            f"no system is running on {folder} ({path} is not there)",
            "Start one with `carillon up` (with `--demo` for an example company), or name its folder with --data DIR.",
        ) from error
    except (OSError, ValueError) as error:
        raise CliError(f"{path} cannot be read: {error}") from error
    if not held(folder):
        raise CliError(f"the system on {folder} was killed and has left {path.name} behind", f"Start it again: carillon up --data {folder}")
    if content.get("version") != 1:
        raise CliError(f"{path} has version {content.get('version')!r}, this command knows 1", "Update Carillon.")
    return System(folder, content)


def system_arguments(parser: argparse.ArgumentParser, *, tenant: bool = True) -> None:
    """`--data` and `--tenant`."""
    parser.add_argument(
        "--data", type=Path, default=DEFAULT_DATA, metavar="DIR", help="data folder of the running system (default: .carillon)"
    )
    if tenant:
        parser.add_argument("--tenant", help="default: the only one")


def whole(text: str) -> int:
    """A number that every field of a request has room for, as an option says it."""
    if not text.removeprefix("-").isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at most 9 digits")
    return int(text)


async def ask(question: Awaitable[T], service: str) -> T:
    """Await an answer; gRPC's errors become readable ones."""
    try:
        return await question
    except grpc.aio.AioRpcError as error:
        raise readable(error, service) from error


async def pages(rpc: Any, request: Any, service: str) -> AsyncIterator[Any]:
    """A list's answers, one after another; `request` is given the token of each. Raises `CliError`."""
    while True:
        answer = await ask(rpc(request, timeout=RPC_SECONDS), service)
        yield answer
        request.page_token = answer.next_page_token
        if not request.page_token:
            return


def readable(error: grpc.aio.AioRpcError, service: str) -> CliError:
    """An error of a service in words, with the fields it names."""
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return CliError(f"{service} does not answer ({error.details()})", "It may be restarting; its log is in DIR/log.")
    details = error.details() or error.code().name
    more = [told for field, reason in violations(error) if (told := f"{field}: {reason}") not in details]
    hint = next((hint for part, hint in HINTS.items() if part in details), "")
    return CliError("\n  ".join([f"{service} refuses: {details}", *more]), hint)


def violations(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    """(field or subject, reason) of the error's details (google.rpc.BadRequest and PreconditionFailure)."""
    found: list[tuple[str, str]] = []
    raw = dict(cast(Iterable[tuple[str, bytes | str]], error.trailing_metadata() or ())).get("grpc-status-details-bin")
    if not isinstance(raw, bytes):
        return found
    for detail in status_pb2.Status.FromString(raw).details:
        bad, failed = error_details_pb2.BadRequest(), error_details_pb2.PreconditionFailure()
        if detail.Unpack(bad):
            found += [(item.field, item.description) for item in bad.field_violations]
        elif detail.Unpack(failed):
            found += [(item.subject, item.description) for item in failed.violations]
    return found
