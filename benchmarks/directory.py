"""A large tenant in the running system: its import, how soon every service has it, and what lists, changes and looking back cost then.

Starts `carillon up` in a temporary folder and imports one company (each user with an extension, a phone's credential and a number)
through `ImportService.ImportTenant`. A service has it when it answers by the last resource: routing simulates a call with that version
of the configuration, media lets the last user's phone register.

    .venv/bin/python benchmarks/directory.py [--users 50000] [--csv 10000]
"""

import argparse
import asyncio
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc.aio
from calls import cpu_seconds, percentile, running

from carillon.directory.v1 import csv_pb2, csv_pb2_grpc, import_pb2_grpc, user_pb2_grpc
from carillon.directory.v1 import directory_pb2 as pb
from carillon.routing.v1 import routing_pb2, routing_pb2_grpc
from carillon_cli.phone.call import Identity, PhoneError
from carillon_cli.phone.phone import Phone
from carillon_kit.grpc_client import channel

TENANT, REALM, PASSWORD = "big", "big.example", "correct-horse-battery"
SYLLABLES = ("mar", "du", "lam", "ber", "mul", "ros", "ni", "ko", "van", "de", "sch", "mor", "tin", "pont", "ler", "si")
PART, PATIENCE, ASKED = 500, 900.0, 100


def company(users: int) -> Iterator[pb.ImportTenantRequest]:
    """The company in parts."""
    yield pb.ImportTenantRequest(part=pb.ApplyTenantRequest(tenant=pb.Tenant(id=TENANT, realm=REALM, country="CH")))
    for start in range(0, users, PART):
        part = pb.ApplyTenantRequest()
        for number in range(start, min(users, start + PART)):
            last = "".join(SYLLABLES[number // 16**place % 16] for place in (0, 1, 2)).capitalize()
            part.users.add(id=f"u{number}", first_name=f"Anna {number % 97}", last_name=last, email=f"u{number}@{REALM}")
            part.extensions.add(id=f"{100_000 + number}", destination=pb.Destination(user_id=f"u{number}"))
            part.sip_credentials.add(id=f"{TENANT}-{number}", user_id=f"u{number}", password=PASSWORD)
            part.numbers.add(id=f"+4121{5_000_000 + number}", destination=pb.Destination(user_id=f"u{number}"))
        yield pb.ImportTenantRequest(part=part)


class Bench:
    """The system under load."""

    def __init__(self, run: dict[str, Any], folder: Path, users: int) -> None:
        self.run, self.folder, self.users = run, folder, users
        self.directory = self._channel("directory")
        self.routing = routing_pb2_grpc.RoutingServiceStub(self._channel("routing"))

    def _channel(self, service: str) -> grpc.aio.Channel:
        return channel(self.run["grpc"][service], self.run["admin_token"], TENANT)

    async def import_company(self) -> int:
        """The version that the import made."""
        service, whole = import_pb2_grpc.ImportServiceStub(self.directory), pb.ApplyTenantResponse()
        async for answer in service.ImportTenant(company(self.users), timeout=PATIENCE):
            whole.MergeFrom(answer.applied)
        return int(whole.config_seq)

    async def routing_has(self, version: int) -> bool:
        """Whether routing decides with that version or a later one."""
        asked = routing_pb2.SimulateRequest(caller="+41795550000", dialled=f"+4121{5_000_000}")
        try:
            return int((await self.routing.Simulate(asked, timeout=20)).config_seq) >= version
        except grpc.aio.AioRpcError:
            return False

    async def media_has(self, sip_user: str) -> bool:
        """Whether a phone of this user can register."""
        host, _, port = self.run["sip"]["udp"].rpartition(":")
        try:
            phone = await Phone.start(Identity(sip_user, REALM, PASSWORD, ""), (host, int(port)), 440)
        except PhoneError:
            return False
        await phone.stop()
        return True

    async def update(self, number: int) -> int:
        """Change one user; the version that it made."""
        request = pb.UpdateUserRequest(user=pb.User(id=f"u{number}", description=f"changed {time.time()}"))
        return int((await user_pb2_grpc.UserServiceStub(self.directory).UpdateUser(request)).user.etag)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait, looking often."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110  (another process is waited for)
            await asyncio.sleep(0.005)


def memory(run: dict[str, Any]) -> dict[str, float]:
    """Resident MB of each process."""
    found = {}
    for name, pid in run["processes"].items():
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                found[name] = int(line.split()[1]) / 1024
    return found


def size(folder: Path) -> float:
    """MB on disk."""
    return int(subprocess.run(["du", "-sk", folder], capture_output=True, text=True, check=True).stdout.split()[0]) / 1024


async def measured(name: str, action: Callable[[], Awaitable[object]], times: int = ASKED) -> None:
    """Print percentiles of an action in ms."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await action()
        took.append(1000 * (time.perf_counter() - began))
    took.sort()
    print(f"{name:<44} ms p50/p95/worst {percentile(took, 0.5):.1f}/{percentile(took, 0.95):.1f}/{took[-1]:.1f}", flush=True)


async def lists(bench: Bench) -> None:
    """Reading."""
    service = user_pb2_grpc.UserServiceStub(bench.directory)

    async def listed(**query: Any) -> str:
        return str((await service.ListUsers(pb.ListUsersRequest(page_size=50, **query))).next_page_token)

    await measured("get a user", lambda: service.GetUser(pb.GetUserRequest(id=f"u{bench.users // 2}")))
    await measured("list, first page", listed)
    token = await listed()
    await measured("list, second page", lambda: listed(page_token=token))
    await measured("list by last_name, first time", lambda: listed(order_by="last_name"), 1)
    await measured("list by last_name, again", lambda: listed(order_by="last_name"))
    await bench.update(1)
    await measured("list by last_name, after a change", lambda: listed(order_by="last_name"), 1)
    await measured("list by last_name desc, first_name, again", lambda: listed(order_by="last_name desc, first_name"))
    await measured("filter, found everywhere", lambda: listed(filter="last_name:mar"))
    await measured("filter, found nowhere", lambda: listed(filter="email = nobody@x"))
    await measured("filter of two, ordered, found at the end", lambda: listed(filter=f'id = "u{bench.users - 1}"', order_by="last_name"))
    page_of_then = await listed(order_by="last_name")
    await bench.update(2)
    await measured("a later page after a change", lambda: listed(order_by="last_name", page_token=page_of_then), 10)
    yesterday = pb.AsOf(config_seq=bench.users)
    await measured("get as of the middle of the import", lambda: service.GetUser(pb.GetUserRequest(id="u0", as_of=yesterday)), 1)


async def changes(bench: Bench) -> None:
    """Writing, and how soon it is known elsewhere."""
    numbers = iter(range(10, bench.users))
    await measured("update a user", lambda: bench.update(next(numbers)))

    async def known() -> None:
        version = await bench.update(next(numbers))
        await until(lambda: bench.routing_has(version))

    await measured("update until routing decides with it", known)


async def table(bench: Bench, rows: int) -> None:
    """A CSV of new users."""
    text = "nom;prénom;e-mail;extension\n" + "".join(f"Nom{row};Anna;p{row}@x.example;{400_000 + row}\n" for row in range(rows))
    raw = text.encode()

    def requests() -> Iterator[csv_pb2.ImportCsvRequest]:
        yield csv_pb2.ImportCsvRequest(options=csv_pb2.ImportCsvOptions(table="users"))
        for start in range(0, len(raw), 256 * 1024):
            yield csv_pb2.ImportCsvRequest(chunk=raw[start : start + 256 * 1024])

    began = time.perf_counter()
    async for answer in csv_pb2_grpc.CsvServiceStub(bench.directory).ImportCsv(requests(), timeout=PATIENCE):
        print(f"csv of {rows}: {answer.WhichOneof('part')} after {time.perf_counter() - began:.1f} s", flush=True)


async def bench(run: dict[str, Any], folder: Path, options: argparse.Namespace) -> None:
    """All of it."""
    made = Bench(run, folder, options.users)
    before, disk, cpu = memory(run), {name: size(folder / "data" / name) for name in ("postgres", "nats")}, cpu_seconds(run["processes"])
    began = time.perf_counter()
    version = await made.import_company()
    print(f"import of {options.users} users, {version} resources: answered after {time.perf_counter() - began:.1f} s", flush=True)
    await until(lambda: made.routing_has(version))
    print(f"  routing has it after {time.perf_counter() - began:.1f} s", flush=True)
    await until(lambda: made.media_has(f"{TENANT}-{options.users - 1}"))
    print(f"  media has it after {time.perf_counter() - began:.1f} s", flush=True)
    used = cpu_seconds(run["processes"])
    print("  CPU s: " + "  ".join(f"{name} {used[name] - cpu[name]:.1f}" for name in sorted(used)))
    after = memory(run)
    print("  MB: " + "  ".join(f"{name} {before[name]:.0f} -> {after[name]:.0f}" for name in sorted(after)))
    grown = {name: size(folder / "data" / name) - disk[name] for name in disk}
    print("  on disk: " + "  ".join(f"{name} +{mb:.0f} MB ({1024 * mb / version:.1f} kB a change)" for name, mb in grown.items()))
    await lists(made)
    await changes(made)
    if options.csv:
        await table(made, options.csv)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--csv", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as name, running(Path(name)) as run:
        asyncio.run(bench(run, Path(name), options))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
