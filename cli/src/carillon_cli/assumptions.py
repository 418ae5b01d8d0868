"""What `carillon simulate` assumes of time and of the world, beside whom the call rings."""

import argparse
from collections.abc import Sequence

from carillon.routing.v1 import routing_pb2 as pb
from carillon_cli.errors import CliError
from carillon_cli.system import whole


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options; `request` reads them."""
    time = parser.add_argument_group("time")
    time.add_argument(
        "--answers-after", action="append", default=[], metavar="[WHO=]S", help="whoever answers lets it ring so long first; or: this one"
    )
    time.add_argument("--talk", type=whole, metavar="S", help="whoever answers hangs up then, and the call goes on")
    time.add_argument("--gives-up", type=whole, metavar="S", help="the caller hangs up at this second of the call")
    time.add_argument("--queue-wait", type=whole, default=0, metavar="S", help="until agents are free, or until the queue's key is pressed")
    time.add_argument(
        "--talking", action="append", default=[], metavar="USER=S", help="an agent who talks so long still with another caller"
    )
    time.add_argument("--idle", action="append", default=[], metavar="USER=S", help="an agent who had no call for so long")
    world = parser.add_argument_group("the world")
    world.add_argument("--cause", action="append", default=[], metavar="WHO=N", help="who does not answer releases with this cause (Q.850)")
    world.add_argument(
        "--queue-state", action="append", default=[], metavar="QUEUE=WAITING[,IDLE[,LOGGED_IN]]", help="callers and agents: sales=3,0,2"
    )
    world.add_argument(
        "--limit", action="append", default=[], metavar="NAME=CALLS[,STARTS]", help="counted already: main/few=4, tenant/acme=20"
    )
    world.add_argument("--share", action="append", default=[], metavar="NAME=N", help="calls before: 'plan/main node split=3'")
    world.add_argument(
        "--web", action="append", default=[], nargs=2, metavar=("URL", "STATUS[,NAME=VALUE]"), help="what a web address answers"
    )
    world.add_argument("--last-agent", default="", metavar="USER", help="whom the caller talked with last")
    world.add_argument("--last-caller", default="", metavar="NUMBER", help="who called the user last")
    world.add_argument("--mails-fail", action="store_true", help="e-mails of plans cannot be taken")
    world.add_argument("--wrong-codes", type=whole, default=0, metavar="N", help="given wrongly in a row before this call")
    world.add_argument("--answered-today", action="append", default=[], metavar="USER=N", help="calls that a user answered today")
    world.add_argument("--trunk-calls", action="append", default=[], metavar="TRUNK=N", help="calls that a trunk has now")


def request(options: argparse.Namespace) -> pb.SimulateRequest:
    """The part of the request that they make. Raises `CliError`."""
    all_after = [each for each in options.answers_after if "=" not in each]
    made = pb.SimulateRequest(
        answer_seconds=_count("--answers-after", all_after[-1]) if all_after else 0,
        answers_after_seconds=_counts("--answers-after", [each for each in options.answers_after if "=" in each]),
        talking_seconds=_counts("--talking", options.talking),
        idle_seconds=_counts("--idle", options.idle),
        talk_seconds=options.talk,
        gives_up_at_seconds=options.gives_up,
        queue_seconds=options.queue_wait,
        causes=_counts("--cause", options.cause),
        shares=_counts("--share", options.share),
        answered_today=_counts("--answered-today", options.answered_today),
        trunk_calls=_counts("--trunk-calls", options.trunk_calls),
        last_agent_user_id=options.last_agent,
        last_caller=options.last_caller,
        mails_fail=options.mails_fail,
        wrong_codes=options.wrong_codes,
    )
    for name, (waiting, *agents) in _several("--queue-state", options.queue_state, 3):
        fields = dict(zip(("agents_idle", "agents_logged_in"), agents, strict=False))
        made.queues[name].CopyFrom(pb.SimulatedQueue(waiting=waiting, **fields))
    for name, counts in _several("--limit", options.limit, 2):
        made.limits[name].CopyFrom(pb.SimulatedCount(**dict(zip(("calls", "starts"), counts, strict=False))))
    for url, answer in options.web:
        status, *fields = answer.split(",")
        made.web_answers[url].CopyFrom(pb.SimulatedAnswer(status=_count("--web", status), fields=pairs("--web", fields)))
    return made


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """By what stands before the first equals sign. Raises `CliError` for what has none."""
    wrong = next((each for each in given if "=" not in each), None)
    if wrong is not None:
        raise CliError(f"{option}: {wrong!r} is not NAME=VALUE")
    return dict(pair.split("=", 1) for pair in given)


def _counts(option: str, given: Sequence[str]) -> dict[str, int]:
    return {name: _count(option, value) for name, value in pairs(option, given).items()}


def _several(option: str, given: Sequence[str], most: int) -> list[tuple[str, list[int]]]:
    found = [(name, [_count(option, each) for each in value.split(",")]) for name, value in pairs(option, given).items()]
    wrong = next((name for name, counts in found if len(counts) > most), None)
    if wrong is not None:
        raise CliError(f"{option}: {wrong} has more than {most} numbers")
    return found


def _count(option: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise CliError(f"{option}: {text!r} is not a number")
    return int(text)
