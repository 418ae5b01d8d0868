"""A fax machine calls a number whose menu speaks, or whose queue it waits in: SIPp plays its calling tone (CNG), the call is switched to
where faxes go."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carillon_cli.phone import g711, tones
from strangers.reflection import Reflected
from strangers.sipp import Sipp, register
from strangers.system import System, until

pytestmark = pytest.mark.feature("M-7")
CARRIER = ("127.0.0.2", 5060)
NUMBER, CALLER = "+41215550190", "+41791234567"
CNG_HZ = 1100
QUEUE = "counter"


@pytest.fixture(params=[{"menu_id": "language"}, {"queue_id": QUEUE}], ids=["menu", "queue"])
def destination(request: pytest.FixtureRequest) -> dict[str, str]:
    """A menu that waits for keys, or a queue whose only agent is at home."""
    found: dict[str, str] = request.param
    return found


@pytest.fixture
def number(system: System, destination: dict[str, str]) -> Iterator[str]:
    """A voice number; its faxes go to a user's device."""
    directory = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])
    body: dict[str, Any] = {"id": NUMBER, "destination": destination, "fax_destination": {"user_id": "elise"}}
    kinds: dict[str, dict[str, Any]] = {
        "agent": {"id": QUEUE, "user_id": "elise"},
        "queue": {"id": QUEUE, "members": [{"agent_id": QUEUE}]},
        "number": body,
    }
    for kind, value in kinds.items():
        directory.call(f"carillon.directory.v1.{kind.title()}Service/Create{kind.title()}", {kind: value})
    try:
        yield NUMBER
    finally:
        for kind, value in reversed(kinds.items()):
            directory.call(f"carillon.directory.v1.{kind.title()}Service/Delete{kind.title()}", {"id": value["id"]})


def calling_tone(folder: Path) -> Path:
    """Half a second of 1100 Hz every three and a half (ITU-T T.30 section 4.2), as SIPp streams it."""
    samples = [*tones.tone(CNG_HZ, g711.RATE // 2), *([0] * (3 * g711.RATE))]
    path = folder / "cng.alaw"
    path.write_bytes(g711.encode("PCMA", samples))
    return path


def test_a_fax_machine_that_calls_a_voice_number_reaches_the_fax(
    system: System, number: str, destination: dict[str, str], tmp_path: Path
) -> None:
    known, realm, user = system.call_ids(), system.tenant["realm"], system.user("106")
    media = Reflected(system.run["grpc"]["media"], system.run["admin_token"])
    port = register(system.sip, realm, user)
    replace = {"SOUND": str(calling_tone(tmp_path))}

    def talks() -> str:
        """The call, once its caller has been answered by the fax."""
        calls = media.call("carillon.media.v1.LiveCallService/ListLiveCalls", {}).get("calls", [])
        return next((call["call_id"] for call in calls if call["dialled"] == number and call["state"] == "talking"), "")

    try:
        with (
            Sipp("answer.xml", system.sip, port=port, calls=1, seconds=60) as fax,
            Sipp(
                *("carrier_calls.xml", system.sip, "-d", "60000", "-key", "dest", number, "-key", "caller", CALLER),
                ip=CARRIER[0],
                port=CARRIER[1],
                seconds=90,
                replace=replace,
            ),
        ):
            call_id = until(talks, "the fax's answer", 40)
            media.call("carillon.media.v1.CallControlService/HangUpCall", {"call_id": call_id})
            fax.succeed()
    finally:
        register(system.sip, realm, user, port=port, expires=0)
    (record,) = system.new_records(known, 1)
    assert (record["status"], record["answered_by"]) == ("answered", "elise")
    queues = [(each["queue_id"], each["left_reason"]) for each in record.get("queues", [])]
    assert queues == ([(QUEUE, "fax")] if "queue_id" in destination else [])
    told = system.carillon("explain", record["call_id"])
    assert "a fax machine calls (CNG)" in told
    assert "tone: cng" in told, told
