"""Browsers' ways in, by a plain HTTP client that speaks Connect and gRPC-Web by hand."""

import asyncio
import base64
import json
import struct
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2

from carillon.directory.v1 import directory_pb2 as pb
from carillon_directory.app import running
from carillon_directory.settings import DirectorySettings
from carillon_kit.auth import OPERATOR, issue_token
from carillon_kit.embedded import free_port

PAGE = "https://admin.example.com"
KEY = "a-key-that-is-long-enough-for-hs256"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Browser:
    """One page of `PAGE`."""

    url: str

    async def send(self, rpc: str, body: bytes, content_type: str, **headers: str) -> Answer:
        token = issue_token(KEY, "browser", None, [OPERATOR])
        sent = {"content-type": content_type, "authorization": f"Bearer {token}", "origin": PAGE} | headers
        return await self.fetch("POST", rpc, sent, body)

    async def fetch(self, method: str, rpc: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        request = urllib.request.Request(f"{self.url}/carillon.directory.v1.{rpc}", body, headers, method=method)

        def open_() -> Answer:
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
            except urllib.error.HTTPError as error:
                return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

        return await asyncio.to_thread(open_)


@pytest.fixture(scope="module")
async def browser(nats_url: str, postgres_dsn: str) -> AsyncIterator[Browser]:
    listen = f"127.0.0.1:{free_port()}"
    settings = DirectorySettings(nats_url=nats_url, postgres_dsn=postgres_dsn, token_key=KEY, web_listen=listen, web_origins=PAGE)
    async with running(settings):
        yield Browser(f"http://{listen}")


def tenant(name: str) -> dict[str, Any]:
    return {"tenant": {"id": name, "realm": f"{name}.example"}}


@pytest.mark.feature("P-1")
async def test_connect_in_json_creates_and_reads(browser: Browser) -> None:
    made = await browser.send("TenantService/CreateTenant", json.dumps(tenant("web-json")).encode(), "application/json")
    assert made.status == 200, made.body
    assert made.headers["access-control-allow-origin"] == PAGE
    user = {"user": {"id": "ann", "lastName": "Archer"}}
    await browser.send("UserService/CreateUser", json.dumps(user).encode(), "application/json", **{"carillon-tenant": "web-json"})
    got = await browser.send("UserService/GetUser", b'{"id": "ann"}', "application/json", **{"carillon-tenant": "web-json"})
    assert json.loads(got.body)["user"]["lastName"] == "Archer"


@pytest.mark.feature("P-1")
async def test_a_refusal_has_code_and_details_in_json(browser: Browser) -> None:
    bad = {"tenant": {"id": "web-bad", "realm": "!"}}
    answer = await browser.send("TenantService/CreateTenant", json.dumps(bad).encode(), "application/json")
    assert answer.status == 400
    error = json.loads(answer.body)
    assert error["code"] == "invalid_argument"
    detail = error["details"][0]
    assert detail["type"] == "google.rpc.BadRequest"
    violations = error_details_pb2.BadRequest.FromString(base64.b64decode(detail["value"] + "==")).field_violations
    assert [each.field for each in violations] == ["tenant.realm"]


@pytest.mark.feature("P-1")
async def test_without_a_token_nothing_is_told(browser: Browser) -> None:
    answer = await browser.send("TenantService/ListTenants", b"{}", "application/json", authorization="")
    assert answer.status == 401
    assert json.loads(answer.body)["code"] == "unauthenticated"


@pytest.mark.feature("P-1")
async def test_grpc_web_carries_messages_and_its_status_in_frames(browser: Browser) -> None:
    created = pb.CreateTenantRequest(tenant=pb.Tenant(id="web-grpc", realm="web-grpc.example"))
    data, trailers = frames((await grpc_web(browser, "TenantService/CreateTenant", created.SerializeToString())).body)
    assert pb.CreateTenantResponse.FromString(data[0]).tenant.id == "web-grpc"
    assert trailers["grpc-status"] == "0"
    again = await grpc_web(browser, "TenantService/CreateTenant", created.SerializeToString())
    _, trailers = frames(again.body)
    assert trailers["grpc-status"] == "6", "ALREADY_EXISTS"
    status = status_pb2.Status.FromString(base64.b64decode(trailers["grpc-status-details-bin"] + "=="))
    assert status.code == 6


async def grpc_web(browser: Browser, rpc: str, message: bytes) -> Answer:
    return await browser.send(rpc, b"\0" + struct.pack("!I", len(message)) + message, "application/grpc-web+proto", **{"x-grpc-web": "1"})


def frames(body: bytes) -> tuple[list[bytes], dict[str, str]]:
    """Messages and trailers of a gRPC-Web body."""
    data, trailers = [], {}
    while body:
        flags, length = struct.unpack("!BI", body[:5])
        frame, body = body[5 : 5 + length], body[5 + length :]
        if flags & 0x80:
            trailers = dict(line.split(": ", 1) if ": " in line else line.split(":", 1) for line in frame.decode().split("\r\n") if line)
        else:
            data.append(frame)
    return data, trailers


@pytest.mark.feature("P-1")
async def test_only_pages_of_the_allowed_origins_may_call(browser: Browser) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    allowed = await browser.fetch("OPTIONS", "UserService/GetUser", asked | {"origin": PAGE})
    assert allowed.status == 204
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    refused = await browser.fetch("OPTIONS", "UserService/GetUser", asked | {"origin": "https://evil.example"})
    assert refused.status == 403
    assert "access-control-allow-origin" not in refused.headers
    answer = await browser.send("TenantService/ListTenants", b"{}", "application/json", origin="https://evil.example")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.feature("P-1")
@pytest.mark.parametrize(("body", "content_type"), [(b"{", "application/json"), (b"\xff\xff", "application/proto"), (b"x", "text/plain")])
async def test_what_is_no_request_is_refused(browser: Browser, body: bytes, content_type: str) -> None:
    answer = await browser.send("TenantService/ListTenants", body, content_type)
    assert 400 <= answer.status < 500
    assert (await browser.send("TenantService/ListTenants", b"{}", "application/json")).status == 200
