"""Numbers, extensions, lines and phones over real gRPC."""

import itertools
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1 import (
    extension_pb2_grpc,
    import_pb2_grpc,
    number_block_pb2_grpc,
    number_pb2_grpc,
    schedule_pb2_grpc,
    sip_credential_pb2_grpc,
    user_pb2_grpc,
)
from carillon_kit.pages import decode_token, encode_token

_SERIAL = itertools.count(1)


class Company:
    """Two users with a phone each, a number that is free, and a range of extensions."""

    def __init__(self, tenant: str, serial: int, channel: grpc.aio.Channel) -> None:
        self.id = tenant
        self.number = f"+412155577{serial:02}"
        self.numbers: Any = number_pb2_grpc.NumberServiceStub(channel)
        self.extensions: Any = extension_pb2_grpc.ExtensionServiceStub(channel)
        self.blocks: Any = number_block_pb2_grpc.NumberBlockServiceStub(channel)
        self.schedules: Any = schedule_pb2_grpc.ScheduleServiceStub(channel)
        self.users: Any = user_pb2_grpc.UserServiceStub(channel)
        self.credentials: Any = sip_credential_pb2_grpc.SipCredentialServiceStub(channel)

    def request(self) -> pb.ApplyTenantRequest:
        return pb.ApplyTenantRequest(
            tenant=pb.Tenant(id=self.id, realm=f"{self.id}.example"),
            users=[pb.User(id="ann", last_name="Archer", mobile="+41795550901"), pb.User(id="bob", last_name="Baker")],
            sip_credentials=[pb.SipCredential(id=f"{self.id}-{user}", user_id=user) for user in ("ann", "bob")],
            numbers=[pb.Number(id=self.number)],
            extensions=[pb.Extension(id="300", destination=pb.Destination(user_id="bob"))],
            extension_ranges=[pb.ExtensionRange(id="usual", first="300", last="302")],
            short_number_rules=[pb.ShortNumberRule(id="default", prefix="4", lengths=[2])],
            contacts=[pb.Contact(id="friend", last_name="Friend", owner_user_id="ann")],
        )


@pytest.fixture
async def company(port: int, client: Callable[..., grpc.aio.Channel]) -> Company:
    serial = next(_SERIAL)
    tenant = f"verbs{serial}"
    made = Company(tenant, serial, client(port, "admin", tenant))
    await import_pb2_grpc.ImportServiceStub(client(port, "operator", tenant)).ApplyTenant(made.request())
    return made


async def code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code()


@pytest.mark.feature("D-5", "D-6")
async def test_a_number_is_assigned_with_its_short_number_and_freed(company: Company) -> None:
    short = "4" + company.number[-2:]
    to_ann = pb.AssignNumberRequest(id=company.number, destination=pb.Destination(user_id="ann"), reason="hers now")
    assigned = await company.numbers.AssignNumber(to_ann)
    assert (assigned.number.destination.user_id, list(assigned.short_numbers), list(assigned.clashes)) == ("ann", [short], [])
    assert (await company.extensions.GetExtension(pb.GetExtensionRequest(id=short))).extension.destination.user_id == "ann"
    freed = await company.numbers.FreeNumber(pb.FreeNumberRequest(id=company.number, etag=assigned.number.etag))
    assert not freed.number.HasField("destination")
    assert await code(company.extensions.GetExtension(pb.GetExtensionRequest(id=short))) == grpc.StatusCode.NOT_FOUND
    await company.extensions.CreateExtension(
        pb.CreateExtensionRequest(extension=pb.Extension(id=short, destination=pb.Destination(user_id="bob")))
    )
    clashing = await company.numbers.AssignNumber(to_ann)
    assert (list(clashing.short_numbers), [each.digits for each in clashing.clashes]) == ([], [short])


@pytest.mark.feature("D-5")
async def test_a_change_of_the_number_itself_tells_its_short_numbers_and_clashes(company: Company) -> None:
    short = "4" + company.number[-2:]
    update = pb.UpdateNumberRequest(number=pb.Number(id=company.number, destination=pb.Destination(user_id="ann")))
    changed = await company.numbers.UpdateNumber(update)
    assert (list(changed.short_numbers), list(changed.clashes)) == ([short], [])
    second = pb.Number(id=company.number.replace("+4121", "+4122"), destination=pb.Destination(user_id="bob"))
    clashing = await company.numbers.CreateNumber(pb.CreateNumberRequest(number=second))
    assert (list(clashing.short_numbers), [each.digits for each in clashing.clashes]) == ([], [short])
    await company.numbers.DeleteNumber(pb.DeleteNumberRequest(id=company.number))
    assert await code(company.extensions.GetExtension(pb.GetExtensionRequest(id=short))) == grpc.StatusCode.NOT_FOUND


@pytest.mark.feature("D-6")
async def test_a_number_goes_nowhere_that_is_not_there(company: Company) -> None:
    assign, number = company.numbers.AssignNumber, company.number
    nobody, ann = pb.Destination(user_id="nobody"), pb.Destination(user_id="ann")
    assert await code(assign(pb.AssignNumberRequest(id=number, destination=nobody))) == grpc.StatusCode.INVALID_ARGUMENT
    assert await code(assign(pb.AssignNumberRequest(id=number))) == grpc.StatusCode.INVALID_ARGUMENT
    assert await code(assign(pb.AssignNumberRequest(id="+41215550000", destination=ann))) == grpc.StatusCode.NOT_FOUND
    assert await code(assign(pb.AssignNumberRequest(id=number, destination=ann, etag="0"))) == grpc.StatusCode.ABORTED
    assert await code(company.numbers.FreeNumber(pb.FreeNumberRequest(id="x"))) == grpc.StatusCode.NOT_FOUND


@pytest.mark.feature("D-4")
async def test_free_extensions_are_given_all_or_none(company: Company) -> None:
    assign = company.extensions.AssignExtensions
    given = await assign(pb.AssignExtensionsRequest(user_ids=["ann", "bob"]))
    assert [(each.id, each.destination.user_id) for each in given.extensions] == [("301", "ann"), ("302", "bob")]
    assert await code(assign(pb.AssignExtensionsRequest(user_ids=["ann"]))) == grpc.StatusCode.INVALID_ARGUMENT
    assert await code(assign(pb.AssignExtensionsRequest())) == grpc.StatusCode.INVALID_ARGUMENT
    assert await code(assign(pb.AssignExtensionsRequest(user_ids=["ann", "nobody"], first="800"))) == grpc.StatusCode.NOT_FOUND
    assert [each.id for each in (await assign(pb.AssignExtensionsRequest(user_ids=["ann"], first="800"))).extensions] == ["800"]


@pytest.mark.feature("D-18")
async def test_a_line_is_handed_over_with_a_new_password(company: Company) -> None:
    reset = await company.users.ResetLine(pb.ResetLineRequest(user_id="ann"))
    assert (reset.user.last_name, reset.user.mobile) == ("Archer", "")
    assert [each.id for each in reset.credentials] == [f"{company.id}-ann"]
    again = await company.users.ResetLine(pb.ResetLineRequest(user_id="ann"))
    passwords = {each.credentials[0].password for each in (reset, again)}
    assert len(passwords) == 2
    assert all(len(each) >= 16 for each in passwords)
    kept = await company.credentials.GetSipCredential(pb.GetSipCredentialRequest(id=f"{company.id}-ann"))
    assert kept.sip_credential.password == ""
    assert await code(company.users.ResetLine(pb.ResetLineRequest(user_id="nobody"))) == grpc.StatusCode.NOT_FOUND


@pytest.mark.feature("D-23")
async def test_a_guest_has_a_phone_until_they_log_out(company: Company) -> None:
    phone, elsewhere = f"{company.id}-ann", f"{company.id}-bob"
    there = (await company.credentials.LogInPhone(pb.LogInPhoneRequest(sip_credential_id=phone, user_id="bob"))).sip_credential
    assert (there.user_id, there.home_user_id) == ("bob", "ann")
    left = (await company.credentials.LogOutPhone(pb.LogOutPhoneRequest(sip_credential_id=phone))).sip_credential
    assert (left.user_id, left.home_user_id) == ("ann", "")
    log_in = company.credentials.LogInPhone
    assert await code(log_in(pb.LogInPhoneRequest(sip_credential_id=elsewhere))) == grpc.StatusCode.INVALID_ARGUMENT
    assert await code(log_in(pb.LogInPhoneRequest(sip_credential_id=elsewhere, user_id="nobody"))) == grpc.StatusCode.NOT_FOUND
    assert await code(log_in(pb.LogInPhoneRequest(sip_credential_id="none", user_id="bob"))) == grpc.StatusCode.NOT_FOUND


@pytest.mark.feature("D-6")
async def test_the_numbers_of_a_block_are_listed_free_and_used_in_pages(company: Company) -> None:
    block = pb.NumberBlock(id="block", first=company.number[:-1] + "0", last=company.number[:-1] + "9")
    await company.blocks.CreateNumberBlock(pb.CreateNumberBlockRequest(number_block=block))
    await company.numbers.AssignNumber(pb.AssignNumberRequest(id=company.number, destination=pb.Destination(user_id="ann")))

    async def listed(state: Any, size: int = 4) -> list[pb.BlockNumber]:
        found: list[pb.BlockNumber] = []
        request = pb.ListBlockNumbersRequest(id="block", state=state, page_size=size)
        while True:
            page = await company.blocks.ListBlockNumbers(request)
            assert len(page.numbers) <= size
            found += page.numbers
            request.page_token = page.next_page_token
            if not request.page_token:
                return found

    (used,) = await listed(pb.BLOCK_NUMBER_STATE_USED)
    assert (used.id, used.used, used.number.destination.user_id) == (company.number, True, "ann")
    free = await listed(pb.BLOCK_NUMBER_STATE_FREE)
    assert len(free) == 9
    assert not any(each.used or each.HasField("number") for each in free)
    assert sorted(each.id for each in (used, *free)) == [each.id for each in await listed(pb.BLOCK_NUMBER_STATE_UNSPECIFIED, 3)]
    assert await code(company.blocks.ListBlockNumbers(pb.ListBlockNumbersRequest(id="none"))) == grpc.StatusCode.NOT_FOUND
    first = await company.blocks.ListBlockNumbers(pb.ListBlockNumbersRequest(id="block", page_size=1))
    strange = encode_token({**decode_token(first.next_page_token), "after": company.number[:-1] + "x"})
    wrong = pb.ListBlockNumbersRequest(id="block", page_token=strange)
    assert await code(company.blocks.ListBlockNumbers(wrong)) == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.feature("D-12")
async def test_a_new_schedule_has_the_holidays_of_the_years_that_are_asked_for(company: Company) -> None:
    years = [pb.HolidayYear(country="CH", region="VD", year=year) for year in (2030, 2031)]
    made = await company.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=pb.Schedule(id="shop"), holidays_of=years))
    assert {(each.date, each.region) for each in made.schedule.holidays} >= {("2030-12-25", "VD"), ("2031-01-01", "VD")}
    assert [(each.start, each.end) for each in made.schedule.ranges] == [("09:00", "12:00"), ("13:00", "18:00")]
    never = await company.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=pb.Schedule(id="never"), without_usual_hours=True))
    assert not never.schedule.ranges
    wrong = pb.CreateScheduleRequest(schedule=pb.Schedule(id="other"), holidays_of=[pb.HolidayYear(country="CH", region="Q", year=2030)])
    with pytest.raises(grpc.aio.AioRpcError, match="CH has no region 'Q'"):
        await company.schedules.CreateSchedule(wrong)
