"""`carillon logins`: who may log in, as a list; a password for a user, locks and second factors taken away; and trying a login."""

import argparse
import asyncio
import getpass
import json
import sys
from typing import Any

from carillon.directory.v1 import auth_pb2, auth_pb2_grpc
from carillon.routing.v1.codes_pb2 import UnlockCodesRequest
from carillon.routing.v1.codes_pb2_grpc import CodeServiceStub
from carillon_cli.errors import CliError
from carillon_cli.render.tables import message_json, table
from carillon_cli.system import RPC_SECONDS, System, ask, load, pages, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon logins`."""
    parser.add_argument("user", metavar="USER", nargs="?", help="user id; with --try the whole login, `alain@dupont.example`; none: list")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--set-password", action="store_true", help="make a new password and show it once; other logins of the user end")
    what.add_argument("--welcome", action="store_true", help="send a letter with login, extension and a code to choose a password with")
    what.add_argument("--unlock", action="store_true", help="forget wrong tries")
    what.add_argument("--unlock-codes", action="store_true", help="forget wrong outbound PINs and account codes")
    what.add_argument("--remove-second-factor", action="store_true", help="for who lost their authenticator")
    what.add_argument("--remove", action="store_true", help="the user cannot log in any more")
    what.add_argument("--try", action="store_true", dest="try_it", help="log in with a password (asked for) and print the tokens as JSON")
    parser.add_argument("--role", default="", help="list those of users with this role")
    parser.add_argument("--department", default="", metavar="ID", help="list those of a department and what is below it")
    parser.add_argument("--locked", action="store_true", help="list those that are locked")
    parser.add_argument("--operator", action="store_true", help="one of the operator's own people, of no tenant")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do what is asked, or show how the login stands."""
    system = load(options.data)
    does = (options.set_password, options.welcome, options.unlock, options.unlock_codes, options.remove_second_factor, options.remove)
    if options.user is None and (options.try_it or any(does)):
        raise CliError("whose login?", "Name the user.")
    if options.try_it:
        print(asyncio.run(tried(system, options.user)))
        return 0
    tenant = None if options.operator else system.tenant(options.tenant)
    print(asyncio.run(done(system, tenant, options)))
    return 0


async def done(system: System, tenant: str | None, options: argparse.Namespace) -> str:
    """What to print."""
    user = options.user
    if options.unlock_codes:
        async with system.channel("routing", tenant) as routing:
            await ask(CodeServiceStub(routing).UnlockCodes(UnlockCodesRequest(user_id=user), timeout=RPC_SECONDS), "routing")
        return f"codes of {user} count again"
    async with system.channel("directory", tenant) as directory:
        access = auth_pb2_grpc.AccessServiceStub(directory)
        if user is None:
            return "\n".join(logins_table(await listed(access, options)))
        if options.set_password:
            made = await ask(access.SetPassword(auth_pb2.SetPasswordRequest(user_id=user), timeout=RPC_SECONDS), "directory")
            return f"login     {made.login}\npassword  {made.password}   (shown only now)"
        if options.welcome:
            sent = await ask(access.SendWelcome(auth_pb2.SendWelcomeRequest(user_id=user), timeout=RPC_SECONDS), "directory")
            return f"a letter goes to {sent.email}"
        if options.unlock:
            await ask(access.UnlockLogin(auth_pb2.UnlockLoginRequest(user_id=user), timeout=RPC_SECONDS), "directory")
            return f"{user} may try again"
        if options.remove_second_factor:
            asked = auth_pb2.RemoveSecondFactorRequest(user_id=user)
            await ask(access.RemoveSecondFactor(asked, timeout=RPC_SECONDS), "directory")
            return f"{user} logs in with the password alone"
        if options.remove:
            await ask(access.RemoveLogin(auth_pb2.RemoveLoginRequest(user_id=user), timeout=RPC_SECONDS), "directory")
            return f"{user} cannot log in any more"
        stands = await ask(access.GetLogin(auth_pb2.GetLoginRequest(user_id=user), timeout=RPC_SECONDS), "directory")
        return "\n".join(told(stands))


async def listed(access: Any, options: argparse.Namespace) -> list[auth_pb2.LoginState]:
    """All that fit."""
    scope = {"department_id": options.department, "with_below": bool(options.department)}
    asked = auth_pb2.ListLoginsRequest(page_size=1000, role=options.role, locked=options.locked, **scope)
    return [each async for page in pages(access.ListLogins, asked, "directory") for each in page.logins]


def logins_table(logins: list[auth_pb2.LoginState]) -> list[str]:
    """A line a login; nothing when there is none."""
    rows = [
        (
            each.user_id,
            each.login,
            each.role,
            each.department_id or "-",
            "yes" if each.second_factor else "no",
            each.last_login_at.ToJsonString() if each.HasField("last_login_at") else "never",
            each.locked_until.ToJsonString() if each.HasField("locked_until") else "-",
        )
        for each in logins
    ]
    return table(("user", "login", "role", "department", "second factor", "last login", "locked until"), rows) if rows else []


def told(login: auth_pb2.GetLoginResponse) -> list[str]:
    """How a login stands, a line a fact."""
    lines = [
        f"login          {login.login}",
        f"second factor  {'yes' if login.second_factor else 'no'}",
        f"last login     {login.last_login_at.ToJsonString() if login.HasField('last_login_at') else 'never'}",
    ]
    if login.HasField("locked_until"):
        lines.append(f"locked until   {login.locked_until.ToJsonString()}")
    elif login.failures:
        lines.append(f"wrong tries    {login.failures}")
    return lines


async def tried(system: System, login: str) -> str:
    """The tokens as JSON. The password comes from the terminal, or from a pipe's first line."""
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    async with system.channel("directory") as directory:
        auth = auth_pb2_grpc.AuthServiceStub(directory)
        answer = await ask(auth.Login(auth_pb2.LoginRequest(login=login, password=password), timeout=RPC_SECONDS), "directory")
        if answer.second_factor_needed:
            if not sys.stdin.isatty():
                raise CliError("a code of the second factor is needed", "Log in at a terminal.")
            request = auth_pb2.LoginRequest(login=login, password=password, code=await asyncio.to_thread(getpass.getpass, "Code: "))
            answer = await ask(auth.Login(request, timeout=RPC_SECONDS), "directory")
        return json.dumps(message_json(answer.tokens), indent=2)
