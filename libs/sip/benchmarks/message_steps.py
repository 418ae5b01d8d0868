"""CPU microseconds per message step: whole dialogs (INVITE 100 180 200 ACK BYE 200) between two user agents, no network.

A step is one message received by one of them with all that it causes. Usage: python message_steps.py [calls] [--profile]
"""

import cProfile
import gc
import itertools
import pstats
import sys
import time

from carillon_sip import Flow, Invite, InviteReceived, NameAddr, Send, SessionAcked, UserAgent, UserAgentSettings
from carillon_sip.parser import parse_message

A, B = ("127.0.0.1", 5060), ("127.0.0.1", 5070)
TO_B, TO_A = Flow("udp", A, B), Flow("udp", B, A)
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 0 101\r\n"
    b"a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n"
)


def agent(name: str) -> UserAgent:
    """A user agent with cheap tokens."""
    count = itertools.count()
    return UserAgent(UserAgentSettings(user_agent=name, max_transactions=10**9, max_sessions=10**9), lambda: f"{name}{next(count):015x}")


def one_call(a: UserAgent, b: UserAgent, invite: Invite, now: float) -> int:
    """A whole dialog; returns the messages carried."""
    a.invite(invite, now=now)
    steps = 0
    pending = True
    while pending:
        pending = False
        for sender, receiver, back in ((a, b, TO_A), (b, a, TO_B)):
            for output in sender.drain():
                pending = True
                if isinstance(output, Send):
                    steps += 1
                    receiver.receive(output.data, back, now)
                elif isinstance(output, InviteReceived):
                    b.ring(output.session, now=now)
                    b.answer(output.session, SDP, now=now)
                elif isinstance(output, SessionAcked):
                    b.bye(output.session, now=now)
    return steps


def run(calls: int) -> tuple[int, float]:
    """Messages and seconds of `calls` dialogs; timers run as in life, 100 calls a second."""
    a, b = agent("a"), agent("b")
    bob = NameAddr.of("sip:bob@127.0.0.1:5070")
    invite = Invite(TO_B, "sip:bob@127.0.0.1:5070", NameAddr.of("sip:alice@127.0.0.1"), bob, NameAddr.of("sip:alice@127.0.0.1:5060"), SDP)
    steps = 0
    start = time.process_time()
    for call in range(calls):
        now = call / 100
        steps += one_call(a, b, invite, now)
        a.handle_timer(now)
        b.handle_timer(now)
    return steps, time.process_time() - start


def parsing(count: int) -> float:
    """Microseconds to parse one INVITE with its usual headers looked up."""
    a = agent("a")
    bob = NameAddr.of("sip:bob@127.0.0.1:5070")
    invite = Invite(TO_B, "sip:bob@127.0.0.1:5070", NameAddr.of("sip:alice@127.0.0.1"), bob, NameAddr.of("sip:alice@127.0.0.1:5060"), SDP)
    a.invite(invite, now=0.0)
    data = next(output.data for output in a.drain() if isinstance(output, Send))
    start = time.process_time()
    for _ in range(count):
        parse_message(data)
    return (time.process_time() - start) / count * 1e6


def main() -> None:
    """Print the figures."""
    calls = int(next((argument for argument in sys.argv[1:] if argument.isdigit()), "3000"))
    gc.collect()
    gc.freeze()
    if "--profile" in sys.argv:
        profile = cProfile.Profile()
        profile.runcall(run, calls)
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return
    sys.stdout.write(f"parse: {parsing(20_000):.2f} us a message" + "\n")
    for _ in range(3):
        steps, seconds = run(calls)
        sys.stdout.write(
            f"{steps} steps in {seconds:.3f} s: {seconds / steps * 1e6:.2f} us a step, {calls / seconds:.0f} dialogs/s (both ends)" + "\n"
        )


if __name__ == "__main__":
    main()
