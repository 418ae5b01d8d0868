"""Devices register, are called where they stand, are remembered and forgotten."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from carillon.media.v1 import media_pb2 as pb
from carillon.media.v1.media_pb2_grpc import LiveCallServiceStub, RegistrationServiceStub
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually, fresh_database
from carillon_media.adapters import postgres_devices
from carillon_sip import Credentials, InviteReceived, NameAddr, RequestOut, ResponseReceived

KEY = "k" * 40


@pytest.mark.feature("M-1")
async def test_several_devices_of_a_user_ring_where_they_registered_from(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, desk, soft = await house.phone("anne"), await house.phone("bob"), await house.phone("bob", "tcp")
    anne.call("102")
    for phone in (desk, soft):
        assert (await phone.expect(InviteReceived)).request.uri == str(phone.contact.uri)


async def test_registering_and_leaving_are_events_a_refresh_is_not(house: Any) -> None:
    bob = await house.phone("bob")
    assert await bob.register() == 200
    assert await bob.register(expires=0) == 200
    await eventually(lambda: len(house.registrations()) >= 2)
    kinds = [(event.type, event.data["user_id"], event.data.get("reason")) for event in house.registrations()]
    assert kinds == [
        ("carillon.registration.registered.v1", "bob", None),
        ("carillon.registration.unregistered.v1", "bob", "asked"),
    ]
    assert house.registrations()[0].data["source"].startswith("udp:127.0.0.1:")


@pytest.mark.feature("P-8")
async def test_of_a_credential_that_is_deleted_no_device_is_remembered(house: Any) -> None:
    await house.phone("bob")
    assert [each.sip_user for each in house.running.registrar.devices("dupont")] == ["bob"]
    await house.configure("sip_credential", {"id": "bob"}, gone=True)
    await eventually(lambda: house.running.registrar.devices("dupont") == [])
    await eventually(lambda: [event.data.get("reason") for event in house.registrations()] == [None, "deleted"])


async def test_an_unknown_user_is_treated_like_a_wrong_password(house: Any) -> None:
    answers = []
    for user, password in (("bob", "wrong"), ("mallory", "guess")):
        phone = await house.phone(user, register=False)
        phone.credentials = None
        assert await phone.register() == 401
        phone.credentials = Credentials(user, password)
        answers.append(await phone.register())
    assert answers == [403, 403]
    assert house.running.registrar.devices("dupont") == []


async def test_nobody_registers_for_somebody_else(house: Any) -> None:
    bob = await house.phone("bob", register=False)
    address = NameAddr.of("sip:anne@dupont.example")
    request = RequestOut(
        "REGISTER",
        flow=bob.flow,
        request_uri="sip:dupont.example",
        from_=address,
        to=address,
        contact=bob.contact,
        credentials=bob.credentials,
    )
    bob.do("request", request)
    assert (await bob.expect(ResponseReceived, lambda o: o.response.status >= 200)).response.status == 403


async def test_options_is_answered(house: Any) -> None:
    bob = await house.phone("bob", register=False)
    address = NameAddr.of("sip:ping@dupont.example")
    bob.do("request", RequestOut("OPTIONS", flow=bob.flow, request_uri="sip:dupont.example", from_=address, to=address))
    answer = (await bob.expect(ResponseReceived)).response
    assert (answer.status, answer.headers.get("Accept")) == (200, "application/sdp")


async def test_bindings_survive_a_restart(house_with: Any, tmp_path: Any, words: Any, postgres_dsn: str) -> None:
    async with house_with(tmp_path, postgres_dsn=postgres_dsn) as house:
        bob = await house.phone("bob")
        port = house.running.sip["udp"][1]
        await house.stop()
        await house.start(postgres_dsn=postgres_dsn)
        (device,) = house.running.registrar.devices("dupont")
        assert device.binding.contact == str(bob.contact.uri)
        assert device.expires_at - device.registered_at > timedelta(seconds=500)
        assert device.binding.flow.remote == bob.flow.local
        assert port > 0


@pytest.mark.feature("D-9")
async def test_of_a_phone_that_left_it_is_told_when_and_as_what_also_after_a_restart(house_with: Any, tmp_path: Any) -> None:
    postgres_dsn = fresh_database()
    async with house_with(tmp_path, postgres_dsn=postgres_dsn) as house:
        bob = await house.phone("bob")
        assert not (await listed(house)).departed
        assert await bob.register(expires=0) == 200
        answer = await listed(house)
        (left,) = answer.departed
        assert not answer.registrations
        assert (left.user_id, left.sip_user, left.contact) == ("bob", "bob", str(bob.contact.uri))
        assert left.source == f"udp:127.0.0.1:{bob.flow.local[1]}"
        assert left.registered_at.ToNanoseconds() <= left.last_heard_at.ToNanoseconds() <= left.left_at.ToNanoseconds()
        await house.stop()
        await house.start(postgres_dsn=postgres_dsn)
        (again,) = (await listed(house)).departed
        assert (again.source, again.left_at, again.last_heard_at) == (left.source, left.left_at, left.last_heard_at)
        bob.server = house.running.sip["udp"]
        assert await bob.register() == 200
        answer = await listed(house)
        assert [each.sip_user for each in answer.registrations] == ["bob"]
        assert not answer.departed


async def listed(house: Any) -> pb.ListRegistrationsResponse:
    async with channel(f"127.0.0.1:{house.running.grpc_port}", issue_token(KEY, "a", "dupont", [ADMIN])) as link:
        stub: Any = RegistrationServiceStub(link)
        answer: pb.ListRegistrationsResponse = await stub.ListRegistrations(pb.ListRegistrationsRequest(user_id="bob"))
    return answer


@pytest.mark.feature("M-1", "M-13")
async def test_a_phone_has_its_200_when_its_registration_is_written_and_anyway_where_that_takes_long(
    house_with: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_devices, "SETTLED_SECONDS", 60.0)
    dsn = fresh_database()
    connection = await asyncpg.connect(dsn)

    async def written() -> set[str]:
        return {row["sip_user"] for row in await connection.fetch("select sip_user from registration")}

    async def carol_is_written() -> bool:
        return "carol" in await written()

    async with house_with(tmp_path, postgres_dsn=dsn) as house:
        await house.phone("carol")
        await eventually(carol_is_written)
        await house.phone("bob")
        assert await written() == {"bob", "carol"}
        monkeypatch.setattr(postgres_devices, "SETTLED_SECONDS", 0.1)
        async with connection.transaction():
            await connection.execute("lock table registration")
            anne = await house.phone("anne", register=False)
            assert await anne.register() == 200
            assert "anne" not in await written()
    await connection.close()


async def test_the_service_runs_without_its_database(house_with: Any, tmp_path: Any) -> None:
    dsn = "postgresql://nobody:x@127.0.0.1:1/none"
    async with house_with(tmp_path, postgres_dsn=dsn, registrations_seconds=0.05) as house:
        assert await (await house.phone("bob", register=False)).register() == 200


@pytest.mark.feature("P-1")
async def test_registrations_and_live_calls_are_listed_for_their_tenant_only(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    anne.call("102")
    await bob.pick_up()
    await anne.answered()
    target = f"127.0.0.1:{house.running.grpc_port}"
    async with channel(target, issue_token(KEY, "a", "dupont", [ADMIN])) as link:
        calls = (await LiveCallServiceStub(link).ListLiveCalls(pb.ListLiveCallsRequest())).calls
        devices = (await RegistrationServiceStub(link).ListRegistrations(pb.ListRegistrationsRequest(user_id="bob"))).registrations
    assert [(c.caller, c.dialled, c.state, c.answered_by, [leg.state for leg in c.legs]) for c in calls] == [
        ("101", "102", "talking", "bob", ["answered", "answered"])
    ]
    assert [(d.user_id, d.contact) for d in devices] == [("bob", str(bob.contact.uri))]
    async with channel(target, issue_token(KEY, "a", "other", [ADMIN])) as link:
        assert not (await LiveCallServiceStub(link).ListLiveCalls(pb.ListLiveCallsRequest())).calls
        assert not (await RegistrationServiceStub(link).ListRegistrations(pb.ListRegistrationsRequest())).registrations
