"""CSV files through the gRPC door: everything or nothing, and a company of ten thousand."""

from collections.abc import Callable, Iterator

import grpc
import grpc.aio
import pytest

from carillon.directory.v1 import csv_pb2
from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.csv_pb2_grpc import CsvServiceStub
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub

_serial = iter(range(1, 100))


@pytest.fixture
async def tenant(port: int, client: Callable[..., grpc.aio.Channel]) -> grpc.aio.Channel:
    name = f"csv-{next(_serial)}"
    made = pb.CreateTenantRequest(tenant=pb.Tenant(id=name, realm=f"{name}.example", language="fr", country="CH"))
    await TenantServiceStub(client(port)).CreateTenant(made)
    return client(port, "operator", name)


async def sent(channel: grpc.aio.Channel, raw: bytes, *, dry_run: bool = False) -> list[csv_pb2.ImportCsvResponse]:
    def requests() -> Iterator[csv_pb2.ImportCsvRequest]:
        yield csv_pb2.ImportCsvRequest(options=csv_pb2.ImportCsvOptions(table="users", dry_run=dry_run))
        for start in range(0, len(raw), 100_000):
            yield csv_pb2.ImportCsvRequest(chunk=raw[start : start + 100_000])

    return [answer async for answer in CsvServiceStub(channel).ImportCsv(requests(), timeout=100)]


async def listed(channel: grpc.aio.Channel) -> list[str]:
    return [each.id for each in (await UserServiceStub(channel).ListUsers(pb.ListUsersRequest(page_size=1000))).users]


@pytest.mark.feature("D-20")
async def test_a_file_is_taken_whole_or_not_at_all(tenant: grpc.aio.Channel) -> None:
    for dry_run in (True, False):
        text = b"nom;e-mail;extension;mobile\nA;a@x.example;201;\nB;no address;202;12\nC;c@x.example;abc;\n"
        wrong = await sent(tenant, text, dry_run=dry_run)
        found = [(answer.error.line, answer.error.column, answer.error.reason) for answer in wrong if answer.HasField("error")]
        shape = "n’a pas la forme attendue"
        assert found == [(3, "e-mail", shape), (3, "mobile", "n’est pas un numéro de téléphone"), (4, "extension", shape)]
        assert not wrong[-1].HasField("result")
        assert await listed(tenant) == []
    right = b"nom;e-mail;extension\nA;a@x.example;201\nB;b@x.example;202\n"
    assert (await sent(tenant, right, dry_run=True))[-1].result.created == 2
    assert await listed(tenant) == []
    assert (await sent(tenant, right))[-1].result.created == 2
    assert await listed(tenant) == ["a", "b"]
    again = (await sent(tenant, right))[-1].result
    assert (again.created, again.updated, again.unchanged) == (0, 0, 2)


@pytest.mark.feature("D-20")
async def test_what_was_exported_is_imported_without_a_change(tenant: grpc.aio.Channel) -> None:
    await sent(tenant, "nom;prénom;mobile\nMoreau;Élise;079 123 45 67\n".encode())
    exported = b"".join([each.chunk async for each in CsvServiceStub(tenant).ExportCsv(csv_pb2.ExportCsvRequest(table="users"))])
    assert "Élise" in exported.decode("utf-8-sig")
    assert (await sent(tenant, exported))[-1].result.unchanged == 1


@pytest.mark.slow
@pytest.mark.feature("D-20")
async def test_ten_thousand_users_at_once(tenant: grpc.aio.Channel) -> None:
    rows = "".join(f"Nom{number};Prénom{number};p{number}@x.example\n" for number in range(10_000))
    answers = await sent(tenant, f"nom;prénom;e-mail\n{rows}".encode())
    told = [(answer.progress.rows_read, answer.progress.checking) for answer in answers if answer.HasField("progress")]
    assert told[0] == (1000, False)
    assert told == sorted(told)
    assert told[-1] == (10_000, True)
    assert answers[-1].result.created == 10_000


@pytest.mark.feature("D-20")
async def test_requests_that_make_no_sense_are_refused(tenant: grpc.aio.Channel) -> None:
    stub = CsvServiceStub(tenant)
    for requests in (
        [],
        [csv_pb2.ImportCsvRequest(chunk=b"x")],
        [csv_pb2.ImportCsvRequest(options=csv_pb2.ImportCsvOptions(table="nothing"))],
        [csv_pb2.ImportCsvRequest(options=csv_pb2.ImportCsvOptions(table="users", language="xx"))],
    ):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            _ = [answer async for answer in stub.ImportCsv(iter(requests))]
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
