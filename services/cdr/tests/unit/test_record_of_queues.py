"""The queue's path in the record: waited, position at entry, whom it was offered to, who answered, why it left."""

import pytest

from carillon_cdr.domain.record import fold
from carillon_cdr.testing import Script
from carillon_contracts.call import RingEnded, WaitEnded
from carillon_contracts.record import RecordQueue

pytestmark = pytest.mark.feature("C-1", "R-10")


class Queued(Script):
    """A call that waits."""

    def waits(self, position: int, queue_id: str = "hotline") -> "Queued":
        return self.decided("wait", details={"queues": [{"queue_id": queue_id, "position": position, "priority": 2}]})

    def offered(self, *agents: str) -> "Queued":
        targets = [{"target_id": f"agent:{agent}"} for agent in agents]
        return self.decided("ring", details={"targets": targets, "queues": [{"queue_id": "hotline", "position": 1}]})

    def taken(self, **results: str) -> "Queued":
        result = "answered" if "answered" in results.values() else "no_answer"
        targets = {f"agent:{agent}": each for agent, each in results.items()}
        return self.add(RingEnded.model_validate({"result": result, "targets": targets}))

    def left(self, reason: str, step: str = "hang_up") -> "Queued":
        return self.decided(step, details={"queues": [{"queue_id": "hotline", "left": reason}]})

    def path(self) -> tuple[RecordQueue, ...]:
        return fold(self.tenant, self.call_id, self.events).queues


def begun() -> Queued:
    return Queued().started(trunk="carrier", caller="+41791112233", dialled="+41215550150")


def test_who_waited_and_whom_the_caller_was_offered_to() -> None:
    script = begun().waits(3).after(20).add(WaitEnded(end="signalled")).offered("anna", "ben").after(15).taken(anna="no_answer", ben="busy")
    script.waits(1).after(5).offered("carl").rings(party="carl").after(4).connects().taken(carl="answered").after(60)
    script.leg_ended("b1").left("answered").after(2).ended(talk=60)
    (passage,) = script.path()
    assert (passage.queue_id, passage.position, passage.priority, passage.waited_seconds) == ("hotline", 3, 2, 44)
    assert [(offer.agent_id, offer.result) for offer in passage.offers] == [("anna", "no_answer"), ("ben", "busy"), ("carl", "answered")]
    assert (passage.answered_by, passage.left_reason) == ("carl", "answered")


def test_who_hangs_up_while_an_agent_is_rung() -> None:
    (passage,) = begun().waits(1).after(8).offered("anna").after(2).ended(cause="caller_gave_up").path()
    assert [(offer.agent_id, offer.result) for offer in passage.offers] == [("anna", "given_up")]
    assert (passage.answered_by, passage.left_reason, passage.waited_seconds) == ("", "abandoned", 10)


def test_a_full_queue_a_way_on_and_another_queue() -> None:
    full = [{"queue_id": "small", "left": "full"}, {"queue_id": "hotline", "position": 1}]
    script = begun().decided("wait", details={"queues": full}).after(30).left("left_by_key", "play").after(3).ended()
    first, second = script.path()
    assert (first.queue_id, first.position, first.left_reason, first.waited_seconds) == ("small", 0, "full", 0)
    assert (second.queue_id, second.left_reason, second.waited_seconds) == ("hotline", "left_by_key", 30)


def test_a_supervisor_moves_the_caller_to_another_queue() -> None:
    moved = begun().waits(1).after(10).waits(4, "second").after(5).ended().path()
    assert [(each.queue_id, each.position, each.left_reason) for each in moved] == [("hotline", 1, "moved"), ("second", 4, "abandoned")]


@pytest.mark.parametrize("queues", [None, 7, [7], [{"queue_id": 7}], [{}]])
def test_what_makes_no_sense_makes_no_path(queues: object) -> None:
    assert begun().decided("wait", details={"queues": queues}).ended().path() == ()
