"""What reaches the log, and what must not."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from pydantic import BaseModel, ValidationError

from carillon_kit import logs, telemetry
from carillon_kit.settings import ServiceSettings


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def settings(**values: object) -> ServiceSettings:
    return ServiceSettings(token_key="k" * 32, node="n1", **values)  # type: ignore[arg-type]


@pytest.mark.feature("P-5")
def test_a_line_is_json_with_service_node_level_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("directory", settings())
    with telemetry.entry("x", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
        logs.get_logger("here").info("done", count=3)
    (line,) = lines(capsys)
    assert {k: line[k] for k in ("event", "count", "service", "node", "level", "logger", "trace_id")} == {
        "event": "done",
        "count": 3,
        "service": "directory",
        "node": "n1",
        "level": "info",
        "logger": "here",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }


def test_the_standard_librarys_loggers_say_it_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("directory", settings())
    logging.getLogger("some.library").warning("about %s", "this")
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["service"], line["logger"]) == ("about this", "warning", "directory", "some.library")


@pytest.mark.feature("P-5")
def test_secrets_do_not_reach_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("directory", settings())
    logs.get_logger("x").info(
        "connected",
        password="p1",
        ha1_sha256="p2",
        voicemail_pin="p3",
        authorization="p4",
        digits="p5",
        nested={"token_key": "p6", "list": ["nats://u:p7@host:4222"]},
        url="postgresql://directory:p8@127.0.0.1/db",
        spinning="kept",
    )
    text = capsys.readouterr().err
    assert not [secret for secret in ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8") if f'"{secret}"' in text or f":{secret}@" in text]
    assert "kept" in text
    assert "postgresql://directory:***@127.0.0.1/db" in text


@pytest.mark.feature("P-8")
def test_nobody_is_named_by_an_address_or_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("voicemail", settings())
    logs.get_logger("x").warning(
        "550 zoé.quill+x@acme.example is unknown, ask <zoe@mail.acme.example>",
        contact="sip:zoe@192.0.2.7:5062;transport=udp",
        error="no trunk takes +41791234567 (+33612345678)",
        recipients=["z@acme.example", "+41791234567"],
        at="2031-01-06T09:00:00+01:00",
        user_id="zoe.quill",
        subject="carillon.acme.config.user.updated",
        source="udp:192.0.2.7:5062",
        ratio="+12.5",
    )
    (line,) = lines(capsys)
    assert line["event"] == "550 ***@acme.example is unknown, ask <***@mail.acme.example>"
    assert line["contact"] == "sip:***@192.0.2.7:5062;transport=udp"
    assert line["error"] == "no trunk takes +41*** (+33***)"
    assert line["recipients"] == ["***@acme.example", "+41***"]
    kept = {name: line[name] for name in ("at", "user_id", "subject", "source", "ratio")}
    assert kept == {
        "at": "2031-01-06T09:00:00+01:00",
        "user_id": "zoe.quill",
        "subject": "carillon.acme.config.user.updated",
        "source": "udp:192.0.2.7:5062",
        "ratio": "+12.5",
    }


@pytest.mark.feature("P-8")
@pytest.mark.parametrize(
    "uri",
    [
        "sip:zoe@[2001:db8::7]:5060",
        "SIPS:zoe@pbx",
        "sip:zo%C3%A9.quill@acme.example",
        "sip:*21*0791234567;phone-context=zoe.example@acme.example",
        "sip:zoe:secret@acme.example",
    ],
)
def test_a_sip_uri_names_nobody_whatever_its_user_and_host_look_like(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("media", settings())
    logs.get_logger("x").warning("refused", contact=f'"A" <{uri};transport=udp>;expires=60', other=f"no answer from {uri}")
    (line,) = lines(capsys)
    scheme, host = uri.partition(":")[0], uri.rpartition("@")[2]
    assert line["contact"] == f'"A" <{scheme}:***@{host};transport=udp>;expires=60'
    assert line["other"] == f"no answer from {scheme}:***@{host}"


class Credential(BaseModel, extra="forbid"):
    """Anything with a secret in it."""

    name: str
    phone_hash: str


def test_the_input_that_a_pydantic_error_quotes_does_not_reach_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("directory", settings())
    document = {"phone_hash": "p1, [tricky", "more": "p3\np4"}
    with pytest.raises(ValidationError) as caught:
        Credential.model_validate(document)
    assert "p1" in str(caught.value)
    assert "p3" in str(caught.value)
    logs.get_logger("x").error("unreadable", error=str(caught.value))
    logs.get_logger("x").error("unreadable", exc_info=caught.value)
    told, raised = lines(capsys)
    for text in (str(told["error"]), str(raised["exception"])):
        assert "Field required [type=missing, input_value=***, input_type=dict]" in text
        assert "[type=extra_forbidden, input_value=***, input_type=str]" in text
        assert not [secret for secret in ("p1", "p3", "p4") if secret in text]


def test_bytes_of_a_peer_that_are_no_text_do_not_lose_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("directory", settings())
    logs.get_logger("x").info("refused", answer=b"bo\xeete pleine".decode(errors="surrogateescape"))
    (line,) = lines(capsys)
    assert line["answer"] == "bo\udceete pleine"


def test_levels_are_kept_and_tracebacks_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("directory", settings(log_level="warning"))
    logger = logs.get_logger("x")
    logger.info("not shown")
    try:
        raise ValueError("why")
    except ValueError as error:
        logger.error("failed", exc_info=error)
    (line,) = lines(capsys)
    assert "ValueError: why" in str(line["exception"])


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("directory", settings(log_format="text"))
    logs.get_logger("x").info("done", password="p1")
    text = capsys.readouterr().err
    assert "done" in text
    assert "p1" not in text
