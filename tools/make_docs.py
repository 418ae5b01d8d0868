"""Make the generated parts of `docs/`: `asyncapi.json` from the published events, `api-reference.md` from the protos, and the tests column
of `features.md`.

`--check` only says whether they are up to date.
"""

import argparse
import ast
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from api_reference import reference
from pydantic import BaseModel

from carillon_contracts import audit, streams
from carillon_contracts.call import CALL_EVENTS
from carillon_contracts.call_order import CALL_BACK_EVENTS, EMERGENCY_NOTICE_EVENTS
from carillon_contracts.conference import CONFERENCE_EVENTS
from carillon_contracts.config import ConfigChanged, ManyChanged
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.mailbox import MailboxChanged, MessageMailed, MessageStored
from carillon_contracts.queue import AGENT_EVENTS, HUNT_GROUP_EVENTS, QUEUE_EVENTS
from carillon_contracts.record import CallRecorded
from carillon_contracts.registration import Registered, TrunkRegistered, TrunkServerDown, TrunkServerUp, TrunkUnregistered, Unregistered


def _is_event(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, EventData) and value is not EventData


ROOT = Path(__file__).resolve().parent.parent
FEATURES = ROOT / "docs/features.md"
ASYNCAPI = ROOT / "docs/asyncapi.json"
REFERENCE = ROOT / "docs/api-reference.md"

#: Address on the bus and events by channel; the parameters are filled by `streams.*_subject`.
CHANNELS: dict[str, tuple[str, tuple[type[EventData], ...]]] = {
    "config": (streams.config_subject("{tenant}", "{resource}", "{fact}"), (ConfigChanged, ManyChanged)),
    "call": (streams.call_subject("{tenant}", "{callid}", "{fact}"), tuple(CALL_EVENTS.values())),
    "registration": (
        streams.registration_subject("{tenant}", "{fact}"),
        (Registered, Unregistered, TrunkRegistered, TrunkUnregistered, TrunkServerUp, TrunkServerDown),
    ),
    "mailbox": (streams.mailbox_subject("{tenant}", "{mailbox}", "{fact}"), (MessageStored, MailboxChanged, MessageMailed)),
    "conference": (streams.conference_subject("{tenant}", "{meeting}", "{fact}"), CONFERENCE_EVENTS),
    "queue": (streams.queue_subject("{tenant}", "{queue}", "{fact}"), QUEUE_EVENTS),
    "agent": (streams.agent_subject("{tenant}", "{agent}", "{fact}"), AGENT_EVENTS),
    "hunt_group": (streams.hunt_group_subject("{tenant}", "{hunt_group}", "{fact}"), HUNT_GROUP_EVENTS),
    "call_back": (streams.call_back_subject("{tenant}", "{call_back}", "{fact}"), CALL_BACK_EVENTS),
    "emergency_notice": (streams.emergency_notice_subject("{tenant}", "{notice}", "{fact}"), EMERGENCY_NOTICE_EVENTS),
    "cdr": (streams.record_subject("{tenant}", "{fact}"), (CallRecorded,)),
    "audit": (
        streams.audit_subject("{tenant}", "{fact}"),
        tuple(sorted((kind for kind in vars(audit).values() if _is_event(kind)), key=lambda kind: kind.__name__)),
    ),
}
REF = "#/components/schemas/{model}"


def schema(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, str]:
    """Put the model's JSON schema and those it needs into `schemas`; return a reference to it."""
    own = model.model_json_schema(ref_template=REF, mode="serialization")
    schemas.update(own.pop("$defs", {}))
    schemas[model.__name__] = own
    return {"$ref": REF.format(model=model.__name__)}


def asyncapi() -> str:
    """The AsyncAPI 3.0 document of everything published on the bus."""
    schemas: dict[str, Any] = {}
    envelope = schema(Event, schemas)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for name, (address, events) in CHANNELS.items():
        messages = {
            event.__name__: {
                "name": f"carillon.{event.TYPE}",
                "summary": " ".join((event.__doc__ or "").split("\n\n")[0].split()),
                "contentType": "application/cloudevents+json",
                "payload": {"allOf": [envelope, {"type": "object", "properties": {"data": schema(event, schemas)}}]},
            }
            for event in events
        }
        parameters: dict[str, Any] = {part[1:-1]: {} for part in address.split(".") if part.startswith("{")}
        channels[name] = {"address": address, "parameters": parameters, "messages": messages}
        operations[f"publish_{name}"] = {"action": "send", "channel": {"$ref": f"#/channels/{name}"}}
    document = {
        "asyncapi": "3.0.0",
        "info": {"title": "Carillon events", "version": "1.0.0", "description": "CloudEvents 1.0 in JSON on NATS JetStream."},
        "channels": channels,
        "operations": operations,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def marked_tests() -> dict[str, list[str]]:
    """Feature id -> `path::test` of every test that carries `@pytest.mark.feature(id)`, or whose module or class does."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(ROOT.glob("*/**/test_*.py")):
        if ".venv" in path.parts:
            continue
        where = path.relative_to(ROOT)
        tree = ast.parse(path.read_text())
        for statement in tree.body:
            if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "pytestmark":
                for feature in feature_ids([statement.value]):
                    found[feature].append(str(where))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                for feature in feature_ids(node.decorator_list):
                    found[feature].append(f"{where}::{node.name}")
    return found


def feature_ids(nodes: list[ast.expr]) -> list[str]:
    """The string arguments of every `...mark.feature(...)` call below the given expressions."""
    calls = [call for node in nodes for call in ast.walk(node) if isinstance(call, ast.Call)]
    marks = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "feature"]
    return [str(argument.value) for call in marks for argument in call.args if isinstance(argument, ast.Constant)]


def features(text: str) -> str:
    """The page with the last column of each row replaced by the tests that name the row."""
    tests = marked_tests()
    lines: list[str] = []
    for line in text.splitlines():
        cells = line.split(" | ")
        feature = cells[0].removeprefix("| ")
        if len(cells) == 3 and feature[:1] in "DRMVCFP" and feature[2:3].isdigit():
            files = sorted({name.split("::")[0] for name in tests.get(feature, [])})
            named = "<br>".join(f"`{file}` ({count(tests[feature], file)})" for file in files)
            line = f"| {feature} | {cells[1]} | {named or '-'} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def count(names: list[str], file: str) -> int:
    """How many marks of the file are among the names."""
    return sum(name.split("::")[0] == file for name in names)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a page is out of date")
    check: bool = parser.parse_args().check
    wanted = {ASYNCAPI: asyncapi(), REFERENCE: reference(), FEATURES: features(FEATURES.read_text())}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if check and stale:
        sys.stderr.write("".join(f"{path.relative_to(ROOT)} is out of date: run `make docs`\n" for path in stale))
        return 1
    for path in stale:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
