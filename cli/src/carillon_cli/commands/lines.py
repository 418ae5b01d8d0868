"""`carillon lines`: extensions for users, lines that are handed over or unlocked, guests on phones."""

import argparse
import asyncio

import grpc.aio

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.auth_pb2 import UnlockLoginRequest
from carillon.directory.v1.auth_pb2_grpc import AccessServiceStub
from carillon.directory.v1.extension_pb2_grpc import ExtensionServiceStub
from carillon.directory.v1.line_pb2 import GetLineStatusRequest
from carillon.directory.v1.line_pb2_grpc import LineServiceStub
from carillon.directory.v1.sip_credential_pb2_grpc import SipCredentialServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub
from carillon.media.v1.security_pb2 import UnlockLineRequest
from carillon.media.v1.security_pb2_grpc import SecurityServiceStub
from carillon.routing.v1.codes_pb2 import UnlockCodesRequest
from carillon.routing.v1.codes_pb2_grpc import CodeServiceStub
from carillon_cli.errors import CliError
from carillon_cli.render.tables import line_phones_table, records_table, registrations_table
from carillon_cli.system import RPC_SECONDS, System, ask, load, readable, system_arguments

_VERBS = {
    "extend": "extend USER...: the next free extension, or the next one of a range, for each",
    "show": "show USER: phones, who watches and supervises the line, its last calls",
    "reset": "reset USER: hand the line over, with new passwords",
    "unlock": "unlock USER: let phones, codes and logins of the user try again after wrong passwords and PINs",
    "login": "login SIP_USER USER: let a user have a phone",
    "logout": "logout SIP_USER: the phone is its owner's again",
}
_COUNTS = {"show": 1, "reset": 1, "unlock": 1, "login": 2, "logout": 1}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon lines`."""
    parser.add_argument("verb", choices=sorted(_VERBS), help="; ".join(_VERBS.values()))
    parser.add_argument("names", nargs="+", metavar="NAME", help="user ids, or the SIP user name of a phone")
    parser.add_argument("--first", default="", metavar="DIGITS", help="extend: from this extension on (default: the extension ranges)")
    parser.add_argument("--exact", action="store_true", help="extend: one after another from --first on, or none if some are taken")
    parser.add_argument("--devices", action="store_true", help="extend: the names are devices, for whose lines it is done")
    parser.add_argument("--leave-groups", action="store_true", help="reset: out of ring, hunt, pickup and paging groups as well")
    parser.add_argument("--reason", default="", help="why, kept in the history")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do it and say what became of it."""
    if len(options.names) != _COUNTS.get(options.verb, len(options.names)):
        raise CliError(_VERBS[options.verb])
    system = load(options.data)
    print("\n".join(asyncio.run(_run(system, system.tenant(options.tenant), options))))
    return 0


async def _run(system: System, tenant: str, options: argparse.Namespace) -> list[str]:
    if options.verb == "show":
        return await shown(system, tenant, options.names[0])
    async with system.channel("directory", tenant) as directory:
        match options.verb:
            case "extend":
                return await _extend(directory, options)
            case "reset":
                return await _reset(directory, options)
            case "unlock":
                return await _unlock(system, tenant, directory, options.names[0])
            case "login":
                phone, user = options.names
                lending = pb.LogInPhoneRequest(sip_credential_id=phone, user_id=user, reason=options.reason)
                await ask(SipCredentialServiceStub(directory).LogInPhone(lending, timeout=RPC_SECONDS), "directory")
                return [f"{phone} is {user}'s until they log out"]
            case _:
                ending = pb.LogOutPhoneRequest(sip_credential_id=options.names[0], reason=options.reason)
                answer = await ask(SipCredentialServiceStub(directory).LogOutPhone(ending, timeout=RPC_SECONDS), "directory")
                return [f"{options.names[0]} is {answer.sip_credential.user_id}'s"]


async def _extend(directory: grpc.aio.Channel, options: argparse.Namespace) -> list[str]:
    request = pb.AssignExtensionsRequest(first=options.first, exact=options.exact, reason=options.reason)
    (request.device_ids if options.devices else request.user_ids).extend(options.names)
    answer = await ask(ExtensionServiceStub(directory).AssignExtensions(request, timeout=RPC_SECONDS), "directory")
    return [f"{each.id} reaches {each.destination.user_id}" for each in answer.extensions]


async def _reset(directory: grpc.aio.Channel, options: argparse.Namespace) -> list[str]:
    request = pb.ResetLineRequest(user_id=options.names[0], leave_groups=options.leave_groups, reason=options.reason)
    answer = await ask(UserServiceStub(directory).ResetLine(request, timeout=RPC_SECONDS), "directory")
    made = [f"  password of {each.id}: {each.password}   (shown only now)" for each in answer.credentials]
    secrets = {
        f"password of login {answer.login}": answer.password,
        "outbound PIN": answer.outbound_pin,
        "phone PIN": answer.phone_pin,
    }
    made += [f"  {what}: {secret}   (shown only now)" for what, secret in secrets.items() if secret]
    return [f"the line of {answer.user.id} is as new", *made]


async def _unlock(system: System, tenant: str, directory: grpc.aio.Channel, user: str) -> list[str]:
    """The phones' accounts at media, the codes at routing, and the login if there is one."""
    async with system.channel("media", tenant) as media:
        request = UnlockLineRequest(user_id=user)
        answer = await ask(SecurityServiceStub(media).UnlockLine(request, timeout=RPC_SECONDS), "media")
    nothing = f"no phone of {user} was locked at the node that was asked; the others are told"
    lines = [f"{account} may register again" for account in answer.accounts] or [nothing]
    async with system.channel("routing", tenant) as routing:
        await ask(CodeServiceStub(routing).UnlockCodes(UnlockCodesRequest(user_id=user), timeout=RPC_SECONDS), "routing")
    lines.append(f"PINs and codes of {user} count again")
    try:
        await AccessServiceStub(directory).UnlockLogin(UnlockLoginRequest(user_id=user), timeout=RPC_SECONDS)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise readable(error, "directory") from error
        return [*lines, f"{user} has no login"]
    return [*lines, f"{user} may log in again"]


async def shown(system: System, tenant: str, user: str) -> list[str]:
    """The page of a line."""
    async with system.channel("directory", tenant) as directory:
        request = GetLineStatusRequest(user_id=user)
        line = (await ask(LineServiceStub(directory).GetLineStatus(request, timeout=RPC_SECONDS), "directory")).line
    contacts = [contact for phone in line.phones for contact in phone.registrations]
    missing = [f"missing: what {name} knows" for name in line.missing]
    return [
        f"{user} at {', '.join(line.extension_ids) or 'no extension'}, supervised by {', '.join(line.supervisor_user_ids) or 'nobody'}, "
        f"on the keys of {', '.join(line.lamp_user_ids) or 'nobody'}",
        *(line_phones_table(line.phones) if line.phones else ["no phone"]),
        *(registrations_table(contacts) if contacts else ["no phone is registered"]),
        *(records_table(line.last_calls) if line.last_calls else ["no call yet"]),
        *missing,
    ]
