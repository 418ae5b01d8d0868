"""Who is given which records, events and recordings: departments' admins and people, in two companies that look alike."""

import itertools
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from carillon.cdr.v1 import cdr_pb2 as pb
from carillon.cdr.v1.cdr_pb2_grpc import RecordServiceStub
from carillon.cdr.v1.recording_pb2 import DeleteRecordingRequest, FetchRecordingRequest, ListRecordingsRequest
from carillon.cdr.v1.recording_pb2_grpc import RecordingServiceStub
from carillon_cdr.app import serve
from carillon_cdr.settings import CdrSettings
from carillon_cdr.testing import START, Script, configured
from carillon_contracts.call import RecordingFinished
from carillon_contracts.config import AccountCodePolicy, ConfigChanged, Department, Queue, RightsProfile, Tenant, User
from carillon_contracts.envelope import Event
from carillon_contracts.streams import AUDIO_BUCKET, CALLS, CONFIG, config_subject
from carillon_kit.auth import issue_token
from carillon_kit.bus import Bus, Outgoing
from carillon_kit.grpc_client import channel
from carillon_kit.object_store import NatsObjectStore, object_name
from carillon_kit.testing import eventually

pytestmark = pytest.mark.feature("P-3")
KEY = "0123456789abcdef0123456789abcdef"
AUDIO = b"RIFF of a talk"
#: `sales` has `shop` below it. In the other company the same people sit elsewhere.
PEOPLE = {
    "dupont": {"anna": "sales", "ben": "shop", "sam": "support", "zoe": ""},
    "martin": {"anna": "support", "ben": "support", "sam": "sales", "zoe": "sales"},
}


def user(name: str, department: str) -> User:
    codes = "shown" if name == "anna" else "hidden"
    return User(id=name, last_name=name.title(), department_id=department, account_code_policy_id=codes)


def company(tenant: str) -> list[Any]:
    rights = [{"resource": "*", "level": "write"}, {"resource": "record"}]
    return [
        Tenant(id=tenant, realm=f"{tenant}.example"),
        Department(id="sales"),
        Department(id="shop", parent_id="sales"),
        Department(id="support"),
        AccountCodePolicy(id="shown", users_may_see=True),
        AccountCodePolicy(id="hidden"),
        RightsProfile.model_validate({"id": "reader", "rights": rights}),
        RightsProfile.model_validate({"id": "configurer", "rights": rights[:1]}),
        *(user(name, department) for name, department in PEOPLE[tenant].items()),
        Queue(id="help", department_id="support"),
    ]


def taped(script: Script, seconds: float = 5) -> Script:
    data = RecordingFinished(
        object=object_name(AUDIO), duration_ms=round(seconds * 1000), bytes=len(AUDIO), ended_by="hang_up", labels={"part": "1"}
    )
    return script.after(seconds).add(data)


def calls(tenant: str) -> list[Script]:
    """`within`: anna talks with ben. `queued`: from outside through support's queue, ben's phone rings, sam answers. `alone`: zoe's."""

    def script(name: str, minute: int) -> Script:
        return Script(name, tenant, START + timedelta(minutes=minute))

    within = script("within", 1).started(user="anna").decided("ring", details={"account_code": "4711"}).rings(party="ben").connects()
    queued = script("queued", 2).started(caller="+41215550100", trunk="carrier").decided("ring", about=["queue/help", "queue/help skills"])
    queued.rings(party="ben").leg_ended("b1", "no_answer").rings("b2", "sam").connects("b2")
    alone = script("alone", 3).started(user="zoe").decided("ring").rings(party="trunk:carrier", number="+41215550100").connects()
    return [taped(each).ended(talk=5) for each in (within, queued, alone)]


async def publish(bus: Bus, stream: str, messages: Iterable[tuple[str, bytes]], name: str) -> None:
    items = [Outgoing(subject, body, f"{name}-{number}") for number, (subject, body) in enumerate(messages)]
    assert await bus.publish_many(stream, items) == []


@pytest.fixture(scope="module")
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with await Bus.connect(nats_url, "test") as connected:
        for stream in (CONFIG, CALLS):
            await connected.ensure_stream(stream)
        for tenant in PEOPLE:
            await publish(connected, CONFIG.name, configured(tenant, *company(tenant)), f"config-{tenant}")
        await NatsObjectStore(connected, AUDIO_BUCKET).put(AUDIO, "audio/wav")
        yield connected


@pytest.fixture(scope="module")
async def target(bus: Bus, nats_url: str, postgres_dsn: str) -> AsyncIterator[str]:
    """With the calls of both companies in it."""
    settings = CdrSettings(nats_url=nats_url, postgres_dsn=postgres_dsn, token_key=KEY, grpc_listen="127.0.0.1:0")
    async with serve(settings) as port:
        address = f"127.0.0.1:{port}"
        for tenant in PEOPLE:
            await publish(bus, CALLS.name, [each for script in calls(tenant) for each in script.messages()], tenant)
            async with Asked(address, tenant, "admin") as admin:

                async def there(admin: Asked = admin) -> bool:
                    return len(await admin.records()) == len(await admin.recordings()) == 3

                await eventually(there)
        yield address


class Asked:
    """The service as somebody finds it: `admin`, `sales` (its admin), `anna` (herself)."""

    def __init__(self, target: str, tenant: str, who: str, rights_profile: str = "") -> None:
        role = "admin" if who == "admin" else "user" if who in PEOPLE["dupont"] else "department_admin"
        department = who if role == "department_admin" else ""
        token = issue_token(KEY, f"user/{who}", tenant, {role}, department=department, rights_profile=rights_profile)
        self._channel = channel(target, token)

    async def __aenter__(self) -> "Asked":
        opened = await self._channel.__aenter__()
        self.api, self.audio = RecordServiceStub(opened), RecordingServiceStub(opened)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._channel.__aexit__(*error)

    async def records(self, **where: Any) -> list[str]:
        """All pages, one record each."""
        request, seen = pb.ListRecordsRequest(page_size=1, **where), []
        while True:
            response = await self.api.ListRecords(request)
            assert len(response.records) <= 1
            seen += [record.call_id for record in response.records]
            if not response.next_page_token:
                return seen
            request.page_token = response.next_page_token

    async def recordings(self, **where: Any) -> dict[str, str]:
        """Ids by call, of all pages of one."""
        request, seen = ListRecordingsRequest(page_size=1, **where), dict[str, str]()
        while True:
            response = await self.audio.ListRecordings(request)
            seen |= {each.call_id: each.recording_id for each in response.recordings}
            if not response.next_page_token:
                return seen
            request.page_token = response.next_page_token

    async def hears(self, recording_id: str) -> bytes:
        return b"".join([part.chunk async for part in self.audio.FetchRecording(FetchRecordingRequest(recording_id=recording_id))])


async def code(attempt: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await attempt
    return refused.value.code()


@pytest.mark.parametrize(
    ("tenant", "who", "records", "heard"),
    [
        ("dupont", "sales", ["queued", "within"], {"within"}),
        ("dupont", "shop", ["queued", "within"], {"within"}),
        ("dupont", "support", ["queued"], {"queued"}),
        ("dupont", "closed", [], set()),
        ("dupont", "anna", ["within"], {"within"}),
        ("dupont", "ben", ["queued", "within"], {"within"}),
        ("dupont", "sam", ["queued"], {"queued"}),
        ("dupont", "zoe", ["alone"], {"alone"}),
        ("martin", "sales", ["alone", "queued"], {"alone", "queued"}),
        ("martin", "shop", [], set()),
        ("martin", "support", ["queued", "within"], {"queued", "within"}),
        ("martin", "anna", ["within"], {"within"}),
    ],
)
@pytest.mark.feature("C-4", "M-10")
async def test_each_is_given_what_is_theirs_and_nothing_else(
    target: str, tenant: str, who: str, records: list[str], heard: set[str]
) -> None:
    async with Asked(target, tenant, "admin") as admin, Asked(target, tenant, who) as asked:
        assert await asked.records() == records
        everything = await admin.recordings()
        assert await asked.recordings() == {call: recording for call, recording in everything.items() if call in heard}
        for call, recording in everything.items():
            if call in records:
                assert (await asked.api.GetRecord(pb.GetRecordRequest(call_id=call))).record.call_id == call
            else:
                assert await code(asked.api.GetRecord(pb.GetRecordRequest(call_id=call))) == grpc.StatusCode.NOT_FOUND
            if call in heard:
                assert await asked.hears(recording) == AUDIO
            else:
                assert await code(asked.hears(recording)) == grpc.StatusCode.NOT_FOUND
            events = asked.api.ListCallEvents(pb.ListCallEventsRequest(call_id=call))
            if who in PEOPLE[tenant]:
                assert await code(events) == grpc.StatusCode.PERMISSION_DENIED
            elif call in records:
                assert len((await events).events) > 5
            else:
                assert await code(events) == grpc.StatusCode.NOT_FOUND


@pytest.mark.feature("C-4")
async def test_the_records_of_a_department_with_what_is_below_it_are_listed(target: str) -> None:
    async with Asked(target, "dupont", "admin") as admin, Asked(target, "dupont", "support") as support:
        for department, found in (("sales", ["queued", "within"]), ("shop", ["queued", "within"]), ("support", ["queued"]), ("none", [])):
            assert await admin.records(department_id=department) == found
        assert await support.records(department_id="sales") == ["queued"]
        assert await support.records(user_id="ben") == ["queued"]
        assert await support.records(user_id="anna") == []
        first = (await admin.api.ListRecords(pb.ListRecordsRequest(page_size=1, department_id="sales"))).next_page_token
        other = pb.ListRecordsRequest(page_size=1, department_id="support", page_token=first)
        assert await code(admin.api.ListRecords(other)) == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_code_is_shown_to_people_whose_policy_says_so(target: str) -> None:
    for who, shown in (("anna", "4711"), ("ben", ""), ("sales", "4711")):
        async with Asked(target, "dupont", who) as asked:
            assert (await asked.api.GetRecord(pb.GetRecordRequest(call_id="within"))).record.account_code == shown


async def test_a_rights_profile_takes_away_what_it_does_not_name(target: str) -> None:
    async with Asked(target, "dupont", "anna", "reader") as reader, Asked(target, "dupont", "admin", "configurer") as configurer:
        assert await reader.records() == ["within"]
        assert await code(reader.recordings()) == grpc.StatusCode.PERMISSION_DENIED
        assert await code(configurer.records()) == grpc.StatusCode.PERMISSION_DENIED
        assert await code(configurer.recordings()) == grpc.StatusCode.PERMISSION_DENIED


async def test_recordings_are_deleted_by_admins_of_what_they_are_of_alone(target: str) -> None:
    async with Asked(target, "martin", "admin") as admin:
        recording = (await admin.recordings())["within"]
        deletion = DeleteRecordingRequest(recording_id=recording)
        refusals = {"anna": grpc.StatusCode.PERMISSION_DENIED, "sales": grpc.StatusCode.NOT_FOUND}
        for who, refused in refusals.items():
            async with Asked(target, "martin", who) as asked:
                assert await code(asked.audio.DeleteRecording(deletion)) == refused
        assert await admin.hears(recording) == AUDIO
        async with Asked(target, "martin", "support") as support:
            await support.audio.DeleteRecording(deletion)
        assert "within" not in await admin.recordings()


async def test_who_moves_to_another_department_takes_no_calls_along(target: str, bus: Bus) -> None:
    moved = configured("dupont", user("zoe", "support"), after=len(company("dupont")))
    await publish(bus, CONFIG.name, moved, "moved")
    async with Asked(target, "dupont", "support") as support, Asked(target, "dupont", "zoe") as zoe:
        later = itertools.count()

        async def known() -> bool:
            """A call that ends once the move is known here is the new department's."""
            name = f"later-{next(later)}"
            script = Script(name, "dupont", START + timedelta(hours=1)).started(user="zoe").ended("caller_gave_up")
            await publish(bus, CALLS.name, script.messages(), name)
            await eventually(lambda: _there(zoe, name))
            return any(each.startswith("later") for each in await support.records())

        await eventually(known)
        assert "alone" in await zoe.records()
        assert "alone" not in await support.records()
        assert "alone" not in await support.recordings()


async def test_a_department_that_is_made_anew_under_the_name_of_another_has_none_of_its_calls(target: str, bus: Bus) -> None:
    """A department's admin may make departments below their own, also under a name that somebody else's had."""
    seq, later = len(company("martin")), START + timedelta(days=2)
    change = ConfigChanged(resource="department", resource_id="support", action="deleted", before={}, after=None, actor="test")
    deleted = Event(
        id=uuid4(),
        source="carillon/directory",
        type=change.event_type,
        subject="department/support",
        time=later,
        data=change.model_dump(mode="json"),
        tenantid="martin",
        configseq=seq + 1,
    )
    anew = configured("martin", Department(id="support", parent_id="sales"), after=seq + 1)
    await publish(bus, CONFIG.name, [(config_subject("martin", "department", "deleted"), deleted.to_json()), *anew], "anew")
    script = Script("anew", "martin", later + timedelta(hours=1)).started(user="anna").ended("caller_gave_up")
    async with Asked(target, "martin", "sales") as sales, Asked(target, "martin", "anna") as anna:
        before = await anna.records()
        assert before
        await publish(bus, CALLS.name, script.messages(), "anew-call")

        async def only_since() -> bool:
            found = await sales.records(department_id="support")
            return found == ["anew"] and not set(before) & set(await sales.records())

        await eventually(only_since)
        assert await anna.records() == ["anew", *before]


async def _there(asked: Asked, call_id: str) -> bool:
    return call_id in await asked.records()
