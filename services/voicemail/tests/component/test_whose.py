"""Who is given which messages: departments' admins and people, in two companies that look alike."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import pytest

from carillon.voicemail.v1 import voicemail_pb2 as pb
from carillon.voicemail.v1.voicemail_pb2_grpc import MessageServiceStub
from carillon_contracts.config import Department, Mailbox, RightsProfile, User
from carillon_contracts.streams import AUDIO_BUCKET, CALLS, CONFIG
from carillon_kit.auth import issue_token
from carillon_kit.bus import Bus, Outgoing
from carillon_kit.grpc_client import channel
from carillon_kit.object_store import NatsObjectStore, object_name
from carillon_kit.testing import eventually
from carillon_voicemail.app import serve
from carillon_voicemail.settings import VoicemailSettings
from carillon_voicemail.testing import company, recording, tone_wav

pytestmark = pytest.mark.feature("P-3")
KEY = "0123456789abcdef0123456789abcdef"
AUDIO = tone_wav()
#: Whose department, and what box. `counter` is the shop's own, `main` nobody's; of `gone` the configuration knows nothing.
PEOPLE = {
    "dupont": {"anna": ("sales", "box-anna"), "ben": ("shop", "box-ben"), "sam": ("support", "box-sam"), "zoe": ("", "")},
    "martin": {"anna": ("support", "box-ben"), "ben": ("support", ""), "sam": ("", "box-sam"), "zoe": ("", "box-anna")},
}
BOXES = ["box-anna", "box-ben", "box-sam", "counter", "gone", "main"]


def resources(tenant: str) -> list[Any]:
    rights = [{"resource": "*", "level": "write"}, {"resource": "message"}]
    return [
        Department(id="sales"),
        Department(id="shop", parent_id="sales"),
        Department(id="support"),
        RightsProfile.model_validate({"id": "listener", "rights": rights}),
        RightsProfile.model_validate({"id": "configurer", "rights": rights[:1]}),
        *(User(id=name, last_name=name, department_id=where, mailbox_id=box) for name, (where, box) in PEOPLE[tenant].items()),
        *(Mailbox(id=box, department_id="shop" if box == "counter" else "") for box in BOXES if box != "gone"),
    ]


@pytest.fixture(scope="module")
async def target(nats_url: str, postgres_dsn: str, tmp_path_factory: Any) -> AsyncIterator[str]:
    """With a message in each box of both companies."""
    settings = VoicemailSettings(
        nats_url=nats_url, postgres_dsn=postgres_dsn, token_key=KEY, grpc_listen="127.0.0.1:0", maildir=tmp_path_factory.mktemp("mail")
    )
    async with await Bus.connect(nats_url, "test") as bus:
        for stream in (CONFIG, CALLS):
            await bus.ensure_stream(stream)
        for tenant in PEOPLE:
            configured = company(*resources(tenant), tenant=tenant)
            items = [Outgoing(subject, body, f"{tenant}-{n}") for n, (subject, body) in enumerate(configured)]
            assert await bus.publish_many(CONFIG.name, items) == []
        await NatsObjectStore(bus, AUDIO_BUCKET).put(AUDIO, "audio/wav")
        async with serve(settings) as port:
            for tenant in PEOPLE:
                left = [recording(f"call-{box}", object_name(AUDIO), tenant=tenant, mailbox_id=box) for box in BOXES]
                items = [Outgoing(subject, body, str(uuid4())) for subject, body in left]
                assert await bus.publish_many(CALLS.name, items) == []
                async with Asked(f"127.0.0.1:{port}", tenant, "admin") as admin:

                    async def there(admin: Asked = admin) -> bool:
                        return len(await admin.messages()) == len(BOXES)

                    await eventually(there)
            yield f"127.0.0.1:{port}"


class Asked:
    """The service as somebody finds it: `admin`, `sales` (its admin), `anna` (herself)."""

    def __init__(self, target: str, tenant: str, who: str, rights_profile: str = "") -> None:
        role = "admin" if who == "admin" else "user" if who in PEOPLE["dupont"] else "department_admin"
        department = who if role == "department_admin" else ""
        token = issue_token(KEY, f"user/{who}", tenant, {role}, department=department, rights_profile=rights_profile)
        self._channel = channel(target, token)

    async def __aenter__(self) -> "Asked":
        self.api: Any = MessageServiceStub(await self._channel.__aenter__())
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._channel.__aexit__(*error)

    async def messages(self, **where: Any) -> dict[str, str]:
        """Ids by box, of all pages of one."""
        request, seen = pb.ListMessagesRequest(page_size=1, **where), dict[str, str]()
        while True:
            response = await self.api.ListMessages(request)
            assert len(response.messages) <= 1
            seen |= {each.mailbox_id: each.message_id for each in response.messages}
            if not response.next_page_token:
                return seen
            request.page_token = response.next_page_token

    async def hears(self, message_id: str) -> bytes:
        return b"".join([part.chunk async for part in self.api.FetchMessageAudio(pb.FetchMessageAudioRequest(message_id=message_id))])


async def code(attempt: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await attempt
    return refused.value.code()


@pytest.mark.parametrize(
    ("tenant", "who", "boxes"),
    [
        ("dupont", "sales", {"box-anna", "box-ben", "counter"}),
        ("dupont", "shop", {"box-ben", "counter"}),
        ("dupont", "support", {"box-sam"}),
        ("dupont", "closed", set()),
        ("dupont", "anna", {"box-anna"}),
        ("dupont", "ben", {"box-ben"}),
        ("dupont", "zoe", set()),
        ("martin", "sales", {"counter"}),
        ("martin", "support", {"box-ben"}),
        ("martin", "anna", {"box-ben"}),
        ("martin", "zoe", {"box-anna"}),
    ],
)
async def test_each_is_given_the_messages_of_their_boxes_and_no_more(target: str, tenant: str, who: str, boxes: set[str]) -> None:
    async with Asked(target, tenant, "admin") as admin, Asked(target, tenant, who) as asked:
        everything = await admin.messages()
        assert await asked.messages() == {box: message for box, message in everything.items() if box in boxes}
        for box, message in everything.items():
            assert await asked.messages(mailbox_id=box) == ({box: message} if box in boxes else {})
            get = asked.api.GetMessage(pb.GetMessageRequest(message_id=message))
            mark = asked.api.MarkMessage(pb.MarkMessageRequest(message_id=message, state=pb.MESSAGE_STATE_SAVED))
            undelete = asked.api.UndeleteMessage(pb.UndeleteMessageRequest(message_id=message))
            if box in boxes:
                assert (await get).message.mailbox_id == (await mark).message.mailbox_id == (await undelete).message.mailbox_id == box
                assert await asked.hears(message) == AUDIO
                continue
            delete = asked.api.DeleteMessage(pb.DeleteMessageRequest(message_id=message))
            for attempt in (get, mark, undelete, delete, asked.hears(message)):
                assert await code(attempt) == grpc.StatusCode.NOT_FOUND


async def test_people_delete_messages_of_their_own_box_and_take_them_back(target: str) -> None:
    async with Asked(target, "dupont", "sam") as sam:
        (message,) = (await sam.messages()).values()
        await sam.api.DeleteMessage(pb.DeleteMessageRequest(message_id=message))
        assert await sam.messages() == {}
        assert await sam.messages(show_deleted=True) == {"box-sam": message}
        await sam.api.UndeleteMessage(pb.UndeleteMessageRequest(message_id=message))
        assert await sam.messages() == {"box-sam": message}


async def test_a_rights_profile_takes_away_what_it_does_not_name(target: str) -> None:
    refused = grpc.StatusCode.PERMISSION_DENIED
    async with Asked(target, "dupont", "anna", "listener") as listener, Asked(target, "dupont", "admin", "configurer") as configurer:
        (message,) = (await listener.messages()).values()
        assert await listener.hears(message) == AUDIO
        assert await code(listener.api.DeleteMessage(pb.DeleteMessageRequest(message_id=message))) == refused
        for attempt in (configurer.messages(), configurer.hears(message)):
            assert await code(attempt) == refused
