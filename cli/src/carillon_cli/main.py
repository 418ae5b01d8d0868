"""The command `carillon`: finds the subcommand, loads only its module, runs it.

Always: an expected failure (`CliError`) ends with one readable line and its exit code, Ctrl-C with 130.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from carillon_cli.errors import CliError

#: Command -> what it does; the module is `carillon_cli.commands.<name>`, with `_` for `-`.
COMMANDS = {
    "up": "start everything on this machine and keep it running",
    "demo": "start a system of its own, place the calls of Dupont SA and check what became of them",
    "apply": "make a tenant hold what a YAML file says",
    "export": "everything that a tenant holds, as the YAML file that `apply` takes",
    "get": "one resource of a tenant, as YAML",
    "list": "resources of one kind",
    "history": "who changed what, newest first",
    "diff": "what differs between two moments of a tenant",
    "undo": "make what a change touched what it was before",
    "restore": "make a tenant, or one resource, what it was at a moment",
    "numbers": "assign numbers with their short numbers, and free them; list the numbers of a block",
    "lines": "extensions for users, lines handed over or unlocked, guests on phones",
    "devices": "phones from stock to a site and back, and whose they are",
    "schedules": "open and close by hand; public holidays of a year",
    "person": "everything that is known of a person, as one file; or erase it",
    "csv": "users, numbers, contacts, short codes and devices as CSV files, in and out",
    "search": "find users, numbers, devices, ... by what people know of them",
    "call": "place a test call with the built-in phone and say what it hears",
    "calls": "calls that are up now, and their end",
    "originate": "call a user's phones, then a number as that user",
    "conferences": "rooms that are in use and who is in them; recorded, locked or closed",
    "invite": "invite guests to a conference by e-mail, with a calendar file",
    "record": "a phone rings, and what is said into it becomes an announcement",
    "registrations": "phones that are registered, where, since when, and who watches their lines",
    "trunks": "registrations with carriers, and which of their servers answer",
    "events": "follow the published events",
    "queues": "who waits in the queues and who answers, now; agents log in and out",
    "call-backs": "who is called back because a colleague talked or the lines were busy; cancels it",
    "groups": "who is logged in at the hunt groups; members log in and out",
    "records": "records of ended calls",
    "explain": "why a call went where it went",
    "trace": "calls of chosen numbers told as they happen, with every reason",
    "replay": "whether a past call would be decided again as it was, and where not",
    "plan": "drafts of routing plans: activated when their tests pass, rolled back, and what became of a plan",
    "compare": "which past calls would go elsewhere with a draft of a plan",
    "activate": "put a draft in its plan's place, once its tests pass and past calls go where they may",
    "simulate": "what would become of a call, and why; tests of plans",
    "messages": "messages in the mailboxes",
    "recordings": "recordings of calls",
    "prompt-sets": "recorded voices in place of the synthesiser's",
    "plane": "what the media plane of a node does: calls, packets, drops, ports, load",
    "bans": "addresses and accounts that are kept out after an attack, and letting them in again",
    "logins": "passwords, locks and second factors of people who use the API",
    "tenants": "tenants and resellers themselves: listed, as of a time, many made or changed in one step",
    "keys": "keys of systems that use the API",
    "provision": "an address for a phone to fetch its settings from",
    "clock": "set the time of day that routing goes by (test systems only)",
}


class Command(Protocol):
    """What a module of `carillon_cli.commands` offers."""

    def arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, options: argparse.Namespace) -> int: ...


def usage() -> str:
    """The text of `carillon --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: carillon COMMAND [options]", "", *lines, "", "`carillon COMMAND --help` tells more."])


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point; exits the process."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        raise SystemExit(0 if arguments else 2)
    name = arguments[0]
    if name not in COMMANDS:
        print(f"carillon: there is no command {name!r}\n\n{usage()}", file=sys.stderr)
        raise SystemExit(2)
    command = cast(Command, importlib.import_module(f"carillon_cli.commands.{name.replace('-', '_')}"))
    parser = argparse.ArgumentParser(prog=f"carillon {name}", description=COMMANDS[name])
    command.arguments(parser)
    raise SystemExit(guarded(lambda: command.run(parser.parse_args(arguments[1:]))))


def guarded(action: Callable[[], int]) -> int:
    """Run and turn expected failures into a line on stderr and an exit code."""
    try:
        return action()
    except CliError as error:
        print(f"carillon: {error}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has gone; what Python flushes at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
