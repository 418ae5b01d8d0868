"""Phones fetch their settings: a plain HTTP client asks as each maker's phones do."""

import asyncio
import base64
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.device_pb2_grpc import DeviceServiceStub
from carillon.directory.v1.import_pb2_grpc import ImportServiceStub
from carillon.directory.v1.provisioning_pb2_grpc import ProvisioningServiceStub
from carillon.directory.v1.sip_credential_pb2_grpc import SipCredentialServiceStub
from carillon_directory.app import running
from carillon_directory.settings import DirectorySettings
from carillon_kit.auth import OPERATOR, issue_token
from carillon_kit.certificates import write_self_signed
from carillon_kit.embedded import free_port
from carillon_kit.grpc_client import channel

KEY = "a-key-that-is-long-enough-for-hs256"
#: Maker, name of the settings file, pattern of the password in it.
ASKED = [
    ("Yealink", "{mac}.cfg", r"account\.1\.password = (\S+)"),
    ("snom", "snomD735-{MAC}.htm", r"<user_pass[^>]*>([^<]+)<"),
    ("Grandstream", "cfg{mac}.xml", r'name="account\.1\.sip\.subscriber"><part name="password">([^<]+)<'),
    ("Polycom", "{mac}-phone.cfg", r'reg\.1\.auth\.password="([^"]+)"'),
    ("Cisco SPA", "spa{mac}.xml", r"<Password_1_>([^<]+)<"),
]
#: Of bases.
BASES = [
    ("Yealink", "{mac}.cfg", r"account\.1\.password = (\S+)"),
    ("snom", "snomM900-{MAC}.htm", r"<user_pass[^>]*>([^<]+)<"),
    ("Gigaset", "{MAC}.xml", r'\.AuthPassword" value="([^"]+)"'),
]
_serial = iter(range(1, 200))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Place:
    """The service, and a company of its own with two phones."""

    url: str
    number: int
    company: grpc.aio.Channel

    @property
    def tenant(self) -> str:
        return f"phones-{self.number}"

    @property
    def mac(self) -> str:
        return f"00156512ab{self.number:02x}"

    @property
    def provisioning(self) -> Any:
        return ProvisioningServiceStub(self.company)

    async def prepared(self, device: str = "phone") -> pb.PrepareDeviceResponse:
        answer: pb.PrepareDeviceResponse = await self.provisioning.PrepareDevice(pb.PrepareDeviceRequest(device_id=device))
        return answer

    async def fetch(self, url: str, context: ssl.SSLContext | None = None, **headers: str) -> Answer:
        request = urllib.request.Request(url, headers={"user-agent": "Yealink SIP-T46U"} | headers)

        def get() -> Answer:
            try:
                with urllib.request.urlopen(request, timeout=20, context=context) as answer:
                    return Answer(answer.status, answer.read().decode())
            except urllib.error.HTTPError as error:
                return Answer(error.code, error.read().decode())

        return await asyncio.to_thread(get)

    def request(self) -> pb.ApplyTenantRequest:
        credential = f"{self.tenant}-101"
        ext = [pb.Extension(id=str(101 + n), destination=pb.Destination(user_id=user)) for n, user in enumerate(("ann", "bob"))]
        lines = [pb.DeviceLine(port=1, sip_credential_id=credential)]
        return pb.ApplyTenantRequest(
            tenant=pb.Tenant(id=self.tenant, realm=f"{self.tenant}.example", language="fr", time_zone="Europe/Zurich"),
            users=[
                pb.User(id="ann", last_name="Archer & <Sons>", first_name="Ann", function_keys=[pb.FunctionKey(key=1, user_id="bob")]),
                pb.User(id="bob", last_name="Baker"),
            ],
            extensions=ext,
            sip_credentials=[pb.SipCredential(id=credential, user_id="ann")],
            contacts=[
                pb.Contact(id="plumber", company="Plumber & Co", phone="+41215550199"),
                pb.Contact(id="aunt", last_name="Aunt", phone="+41215550188", owner_user_id="bob"),
            ],
            devices=[
                pb.Device(id="phone", vendor="Yealink", mac=self.mac, lines=lines),
                pb.Device(id="other", vendor="Yealink", mac=f"00156512ac{self.number:02x}"),
                pb.Device(id="unknown", vendor="Acme", mac=f"00156512ad{self.number:02x}"),
            ],
        )


@pytest.fixture
async def place(nats_url: str, postgres_dsn: str) -> AsyncIterator[Place]:
    listen = f"127.0.0.1:{free_port()}"
    settings = DirectorySettings(
        nats_url=nats_url,
        postgres_dsn=postgres_dsn,
        token_key=KEY,
        provisioning_listen=listen,
        provisioning_url=f"http://{listen}",
        provisioning_sip="192.0.2.10:5060",
    )
    number = next(_serial)
    token = issue_token(KEY, "x", None, [OPERATOR])
    async with running(settings) as port, channel(f"127.0.0.1:{port}", token, f"phones-{number}") as company:
        made = Place(f"http://{listen}", number, company)
        await ImportServiceStub(company).ApplyTenant(made.request())
        yield made


@pytest.mark.feature("D-10")
@pytest.mark.parametrize(("vendor", "file", "password"), ASKED, ids=[vendor for vendor, *_ in ASKED])
async def test_a_phone_of_each_maker_fetches_what_it_needs(place: Place, vendor: str, file: str, password: str) -> None:
    await DeviceServiceStub(place.company).UpdateDevice(pb.UpdateDeviceRequest(device=pb.Device(id="phone", vendor=vendor)))
    address = (await place.prepared()).url
    name = file.format(mac=place.mac, MAC=place.mac.upper())
    answer = await place.fetch(address + name)
    assert answer.status == 200, answer
    assert "192.0.2.10" in answer.body
    assert f"{place.tenant}.example" in answer.body
    assert re.search(password, answer.body) is not None, answer.body
    assert (await place.fetch(address + name)).body == answer.body, "the password stays"
    if vendor != "Yealink":
        Xml.fromstring(answer.body)
    book = await place.fetch(address + "phonebook.xml")
    assert "+41215550199" in book.body
    assert "102" in book.body
    assert "+41215550188" not in book.body, "another user's contact"
    Xml.fromstring(book.body)
    stands = await place.provisioning.GetProvisioning(pb.GetProvisioningRequest(device_id="phone"))
    assert (stands.prepared, stands.file, stands.user_agent) == (True, "phonebook.xml", "Yealink SIP-T46U")


@pytest.mark.feature("D-10")
@pytest.mark.parametrize(("vendor", "file", "password"), BASES)
async def test_a_base_fetches_the_lines_of_its_handsets(place: Place, vendor: str, file: str, password: str) -> None:
    line = pb.DeviceLine(port=1, sip_credential_id=f"{place.tenant}-101", ipei="029e74a599")
    base = pb.Device(id="phone", vendor=vendor, type=pb.DEVICE_TYPE_BASE, lines=[line])
    await DeviceServiceStub(place.company).UpdateDevice(pb.UpdateDeviceRequest(device=base))
    name = file.format(mac=place.mac, MAC=place.mac.upper())
    answer = await place.fetch((await place.prepared()).url + name)
    assert answer.status == 200, answer
    assert re.search(password, answer.body) is not None, answer.body
    assert "Archer" in answer.body
    if vendor != "Yealink":
        Xml.fromstring(answer.body)
        assert "029e74a599" in answer.body.lower()


@pytest.mark.feature("D-10")
async def test_a_base_of_a_maker_whose_bases_are_not_known_gets_nothing(place: Place) -> None:
    devices = DeviceServiceStub(place.company)
    url = (await place.prepared()).url
    await devices.UpdateDevice(pb.UpdateDeviceRequest(device=pb.Device(id="phone", vendor="Polycom", type=pb.DEVICE_TYPE_BASE)))
    with pytest.raises(grpc.aio.AioRpcError, match="of bases vendor 'Polycom' is none of yealink, snom, gigaset"):
        await place.prepared()
    assert (await place.fetch(f"{url}{place.mac}-phone.cfg")).status == 404


@pytest.mark.feature("D-10", "D-11")
async def test_a_yealink_gets_its_keys_language_and_clock(place: Place) -> None:
    body = (await place.fetch(f"{(await place.prepared()).url}{place.mac}.cfg")).body
    settings = dict(line.split(" = ", 1) for line in body.splitlines() if " = " in line)
    assert settings["account.1.display_name"] == "Ann Archer & <Sons>"
    assert (settings["linekey.2.type"], settings["linekey.2.value"]) == ("16", "102")
    assert settings["lang.gui"] == "French"
    assert settings["local_time.time_zone"] == "+1"


@pytest.mark.feature("D-10")
async def test_whoever_has_no_right_secret_gets_nothing(place: Place) -> None:
    prepared, other = await place.prepared(), await place.prepared("other")
    name = f"{place.mac}.cfg"
    wrong = [prepared.url + name + "x", prepared.url + "..%2f" + name, other.url + name]
    urls = [f"{place.url}/p/{'0' * 40}/{name}", f"{place.url}/{name}", *wrong]
    for url in urls:
        assert await place.fetch(url) == Answer(404, ""), url
    assert (await place.fetch(f"{place.url}/p/{name}")).status == 401
    assert (await place.fetch(prepared.url + name)).status == 200
    await place.provisioning.WithdrawDevice(pb.WithdrawDeviceRequest(device_id="phone"))
    assert await place.fetch(prepared.url + name) == Answer(404, "")


@pytest.mark.feature("D-10")
async def test_a_phone_may_ask_with_a_password_instead(place: Place) -> None:
    secret = (await place.prepared()).secret
    for user, status in ((place.mac, 200), ("00156500ffff", 404)):
        login = base64.b64encode(f"{user}:{secret}".encode()).decode()
        assert (await place.fetch(f"{place.url}/p/{place.mac}.cfg", authorization=f"Basic {login}")).status == status
    for header in ("Basic", "Basic !!", "Bearer x", "Basic " + base64.b64encode(b"\xff").decode()):
        assert (await place.fetch(f"{place.url}/p/{place.mac}.cfg", authorization=header)).status == 401


@pytest.mark.feature("D-10")
async def test_who_guesses_gets_nothing_for_a_while_even_with_the_right_secret(place: Place) -> None:
    url = f"{(await place.prepared()).url}{place.mac}.cfg"
    assert (await place.fetch(url)).status == 200
    for number in range(10):
        assert (await place.fetch(f"{place.url}/p/{number:040d}/{place.mac}.cfg")).status == 404
    assert (await place.fetch(url)).status == 404


@pytest.mark.feature("D-10", "D-19")
async def test_a_password_that_was_changed_elsewhere_is_made_anew_at_the_next_fetch(place: Place) -> None:
    url = f"{(await place.prepared()).url}{place.mac}.cfg"
    first = re.findall(r"password = (\S+)", (await place.fetch(url)).body)
    changed = pb.SipCredential(id=f"{place.tenant}-101", password="set-by-an-admin")
    await SipCredentialServiceStub(place.company).UpdateSipCredential(pb.UpdateSipCredentialRequest(sip_credential=changed))
    second = re.findall(r"password = (\S+)", (await place.fetch(url)).body)
    assert len(first) == len(second) == 1
    assert second[0] not in (first[0], "set-by-an-admin")
    assert re.findall(r"password = (\S+)", (await place.fetch(url)).body) == second


@pytest.mark.feature("D-10")
async def test_a_device_that_cannot_be_prepared_is_told_why(place: Place) -> None:
    expected = {"nothing": grpc.StatusCode.NOT_FOUND, "unknown": grpc.StatusCode.FAILED_PRECONDITION, "": grpc.StatusCode.INVALID_ARGUMENT}
    for device, code in expected.items():
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await place.prepared(device)
        assert error.value.code() is code


@pytest.mark.feature("D-10")
async def test_a_polycom_is_told_at_boot_which_file_is_its_own(place: Place) -> None:
    await DeviceServiceStub(place.company).UpdateDevice(pb.UpdateDeviceRequest(device=pb.Device(id="phone", vendor="Polycom")))
    address = (await place.prepared()).url
    named = Xml.fromstring((await place.fetch(f"{address}{place.mac}.cfg")).body)
    assert named.tag == "APPLICATION"
    assert (await place.fetch(address + named.attrib["CONFIG_FILES"])).status == 200


@pytest.mark.feature("D-10")
async def test_a_cisco_reads_a_long_phone_book_page_by_page(place: Place) -> None:
    people = [pb.Contact(id=f"c{n}", last_name=f"Name {n:03d}", phone=f"+412155501{n:02d}") for n in range(70)]
    await ImportServiceStub(place.company).ApplyTenant(pb.ApplyTenantRequest(contacts=people))
    await DeviceServiceStub(place.company).UpdateDevice(pb.UpdateDeviceRequest(device=pb.Device(id="phone", vendor="Cisco SPA")))
    address = (await place.prepared()).url
    menu = Xml.fromstring((await place.fetch(f"{address}phonebook.xml")).body)
    pages = [str(each.text) for each in menu.iter("URL")]
    found = [[str(each.text) for each in Xml.fromstring((await place.fetch(url)).body).iter("Name")] for url in pages]
    assert max(map(len, found)) <= 32
    assert {f"Name {n:03d}" for n in range(70)} < {name for page in found for name in page}
    assert not list(Xml.fromstring((await place.fetch(f"{address}phonebook-9.xml")).body).iter("Name"))


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs phones' certificates."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def named(cls, name: str) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key, _certificate(name, name, key, key, ca=True))

    def phone(self, folder: Path, name: str) -> ssl.SSLContext:
        """A client's context with a certificate of the name."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        file = folder / "phone.pem"
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(pem + _certificate(name, str(issuer), key, self.key, ca=False).public_bytes(serialization.Encoding.PEM))
        context = ssl.create_default_context(cafile=folder / "door.pem")
        context.load_cert_chain(file)
        return context


def _certificate(name: str, issuer: str, key: Any, by: Any, *, ca: bool) -> x509.Certificate:
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer)]
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=1)).add_extension(x509.BasicConstraints(ca, None), critical=True)
    return builder.sign(by, hashes.SHA256())


@pytest.mark.feature("D-10")
async def test_a_phone_proves_itself_by_its_maker_s_certificate(nats_url: str, postgres_dsn: str, tmp_path: Path) -> None:
    listen, number = f"localhost:{free_port()}", next(_serial)
    maker, other, stranger = (Authority.named(name) for name in ("Yealink CA", "Snom CA", "Nobody's CA"))
    for name, authority in (("yealink", maker), ("snom", other)):
        (tmp_path / f"{name}.pem").write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    write_self_signed(tmp_path / "door.pem", tmp_path / "door.key", ["localhost", "127.0.0.1"], datetime.now(UTC))
    settings = DirectorySettings(
        nats_url=nats_url,
        postgres_dsn=postgres_dsn,
        token_key=KEY,
        provisioning_listen=listen.replace("localhost", "127.0.0.1"),
        provisioning_url=f"https://{listen}",
        provisioning_certificate=tmp_path / "door.pem",
        provisioning_key=tmp_path / "door.key",
        provisioning_client_authorities=f"yealink={tmp_path}/yealink.pem, snom={tmp_path}/snom.pem",
    )
    token = issue_token(KEY, "x", None, [OPERATOR])
    async with running(settings) as port, channel(f"127.0.0.1:{port}", token, f"phones-{number}") as company:
        place = Place(f"https://{listen}", number, company)
        await ImportServiceStub(company).ApplyTenant(place.request())
        own = f"{place.url}/p/{place.mac}.cfg"
        phone = maker.phone(tmp_path, "-".join(re.findall("..", place.mac.upper())))
        settings_file = await place.fetch(own, context=phone)
        assert settings_file.status == 200
        book = re.findall(r"remote_phonebook.data.1.url = (\S+)", settings_file.body)
        assert (await place.fetch(book[0], context=phone)).status == 200
        nobody = Answer(404, "")
        assert await place.fetch(f"{place.url}/p/00156512ac{number:02x}.cfg", context=phone) == nobody, "another phone's file"
        unproven = Answer(401, "")
        assert await place.fetch(own, context=other.phone(tmp_path, place.mac)) == unproven, "another maker's authority"
        assert await place.fetch(own, context=maker.phone(tmp_path, "00156500ffff")) == unproven, "a phone that nobody has"
        assert (await place.fetch(own, context=ssl.create_default_context(cafile=tmp_path / "door.pem"))).status == 401
        with pytest.raises((urllib.error.URLError, OSError)):
            await place.fetch(own, context=stranger.phone(tmp_path, place.mac))
        await place.provisioning.WithdrawDevice(pb.WithdrawDeviceRequest(device_id="phone"))
        assert await place.fetch(own, context=phone) == unproven
        prepared = await place.prepared()
        assert (await place.fetch(prepared.url + f"{place.mac}.cfg", context=phone)).status == 200
        assert (await place.fetch(own, context=phone)).status == 200
