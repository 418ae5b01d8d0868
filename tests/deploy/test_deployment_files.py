"""Compose, Kubernetes and NATS files are valid, and every setting that they give exists."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from carillon_contracts.streams import AUDIO_BUCKET, STREAMS
from carillon_rtp.__main__ import parser as plane_options

pytestmark = pytest.mark.feature("P-4")

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy/k8s/base"
BIN = Path(sys.executable).parent
SERVICES = ("directory", "routing", "media", "voicemail", "cdr")
#: Settings that some process reads before it has a settings class.
EVERYWHERE = {"secrets_dir"}


def settings_of(service: str) -> set[str]:
    """Names of the fields of the service's settings."""
    module = import_module(f"carillon_{service}.settings")
    classes = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    return EVERYWHERE | {field for cls in classes for field in getattr(cls, "model_fields", {})}


def manifests() -> list[dict[str, Any]]:
    names = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    return [document for name in names for document in yaml.safe_load_all((BASE / name).read_text())]


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a workload, sidecars included."""
    pod = manifest["spec"]["template"]["spec"]
    return [*pod.get("initContainers", ()), *pod["containers"]]


def unknown_settings(service: str, names: list[str]) -> list[str]:
    given = [name.removeprefix("CARILLON_").lower() for name in names if name.startswith("CARILLON_")]
    return sorted(set(given) - settings_of(service))


def test_every_kubernetes_file_is_listed_and_strictly_valid() -> None:
    listed = set(yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"])
    assert listed == {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}
    for manifest in manifests():
        kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_kubernetes_gives_only_settings_that_exist() -> None:
    shared: list[str] = []
    for manifest in manifests():
        if manifest["kind"] == "ConfigMap" and manifest["metadata"]["name"] == "carillon":
            shared = list(manifest["data"])
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            for container in containers(manifest):
                if container["name"] in SERVICES:
                    names = shared + [entry["name"] for entry in container["env"]]
                    assert unknown_settings(container["name"], names) == [], container["name"]


def test_no_container_runs_as_root_or_writes_its_image() -> None:
    workloads = [m for m in manifests() if m["kind"] in ("Deployment", "StatefulSet")]
    assert {m["metadata"]["name"] for m in workloads} == {*SERVICES, "edge"}
    for workload in workloads:
        spec = workload["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert all(container["securityContext"]["readOnlyRootFilesystem"] for container in containers(workload))


def test_compose_gives_only_settings_that_exist() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for service in SERVICES:
        assert unknown_settings(service, list(compose["services"][service]["environment"])) == [], service


def test_compose_names_only_volumes_and_services_that_it_has() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert set(SERVICES) | {"media-plane", "plane-spare", "nats", "postgres"} == set(compose["services"])
    for service in compose["services"].values():
        named = {volume.split(":")[0] for volume in service.get("volumes", ()) if not volume.startswith(".")}
        assert named <= set(compose["volumes"])
        assert set(service.get("depends_on", ())) <= set(compose["services"])


@pytest.mark.feature("M-13")
def test_a_second_media_plane_stands_by_everywhere() -> None:
    """Alike but for the name, on one socket, and able to see that the other one is gone; the options are those that the plane takes."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert compose["media-plane"] == compose["plane-spare"]
    assert compose["media-plane"]["pid"] == "host"
    (media,) = [m for m in manifests() if m["kind"] == "StatefulSet"]
    first, second = media["spec"]["template"]["spec"]["initContainers"]
    assert [first.pop("name"), second.pop("name")] == ["media-plane", "plane-spare"]
    assert first == second
    assert media["spec"]["template"]["spec"]["shareProcessNamespace"]
    for arguments in (compose["media-plane"]["command"], first["args"]):
        given = [re.sub(r"\$\(NODE_IP\)|\$\{[^}]+\}", "192.0.2.1", argument) for argument in arguments]
        assert plane_options().parse_args(given).standby


def test_the_nats_file_is_what_the_server_takes() -> None:
    done = subprocess.run(
        [BIN / "nats-server", "-t", "-c", ROOT / "deploy/compose/nats.conf"], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr


def test_each_service_has_its_own_nats_user_and_may_not_delete_streams() -> None:
    text = (ROOT / "deploy/compose/nats.conf").read_text()
    users = re.findall(r'\{user: "([a-z-]+)".*', text)
    assert set(SERVICES) <= set(users)
    for line in text.splitlines():
        if '{user: "' in line and "tenant-" not in line:
            (user,) = re.findall(r'user: "([a-z-]+)"', line)
            audio = "deny: $only_audio_goes"
            own = {"cdr": audio, "media": audio, "voicemail": audio, "directory": "deny: $only_messages_go"}
            assert own.get(user, "deny: $no_stream_loss") in line
    loss = re.search(r"^only_audio_goes: (.+)$", text, re.MULTILINE)
    assert loss is not None
    assert {f"$JS.API.STREAM.PURGE.{stream.name}" for stream in STREAMS} <= set(json.loads(loss[1]))
    assert {"$JS.API.STREAM.DELETE.>", "$JS.API.STREAM.MSG.DELETE.>"} <= set(json.loads(loss[1]))
    assert not {"$JS.API.STREAM.PURGE.>", f"$JS.API.STREAM.PURGE.OBJ_{AUDIO_BUCKET}"} & set(json.loads(loss[1]))


def test_no_service_holds_the_locks_of_a_change_that_it_was_cut_off_from() -> None:
    text = (ROOT / "deploy/compose/roles.sql").read_text()
    limited = re.findall(r"alter role (\w+) set idle_in_transaction_session_timeout = '30s';", text)
    assert sorted(limited) == sorted(re.findall(r"create role (\w+)", text)) == sorted(SERVICES)


def test_the_edge_of_kubernetes_is_a_kamailio_that_takes_its_options_and_knows_every_media_node(tmp_path: Path) -> None:
    """Kamailio itself reads the configuration with the arguments and the list of nodes of the manifest."""
    (config,) = [m for m in manifests() if m["kind"] == "ConfigMap" and m["metadata"]["name"] == "edge-nodes"]
    (edge,) = [m for m in manifests() if m["kind"] == "Deployment" and m["metadata"]["name"] == "edge"]
    (media,) = [m for m in manifests() if m["kind"] == "StatefulSet"]
    nodes = re.findall(r"^1 sip:media-(\d+)\.media\.", config["data"]["nodes.list"], re.MULTILINE)
    assert nodes == [str(number) for number in range(media["spec"]["replicas"])]
    (container,) = containers(edge)
    program = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin")
    if program is None:
        pytest.skip("kamailio is not installed: tools/setup installs it")
    arguments = [argument.replace("$(NODE_IP)", "127.0.0.1") for argument in container["args"]]
    command = [program, "-c", "-f", str(ROOT / "deploy/kamailio/kamailio.cfg"), "-Y", str(tmp_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["Dockerfile", "deploy/kamailio/Dockerfile"])
def test_the_dockerfiles_pass_their_linter(name: str) -> None:
    done = subprocess.run([BIN / "hadolint", str(ROOT / name)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout


def test_every_volume_of_compose_is_a_folder_that_the_image_gives_to_its_user() -> None:
    """A new volume takes the owner of the folder it is mounted at; where the image has none, it is root's and cannot be written."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    given = re.search(r"install -d -o carillon (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert given is not None
    for service in (*SERVICES, "media-plane", "plane-spare"):
        mounted = {volume.split(":")[1] for volume in compose["services"][service].get("volumes", ())}
        assert mounted <= set(given[1].split()), service


def start_settings(service: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the service's settings from these alone. Raises `ValidationError` when one is missing or wrong."""
    for name in [name for name in os.environ if name.startswith("CARILLON_")]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    module = import_module(f"carillon_{service}.settings")
    getattr(module, f"{service.capitalize()}Settings")()


@pytest.mark.parametrize("service", SERVICES)
def test_compose_gives_every_setting_that_the_service_needs(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][service]["environment"]
    values = {"CARILLON_TOKEN_KEY": "k" * 64, "CARILLON_ADVERTISE": "127.0.0.1", "CARILLON_PROVISIONING_URL": "http://127.0.0.1:7081"}
    filled = {name: re.sub(r"\$\{(\w+):[?-][^}]*\}", lambda found: values[found[1]], value) for name, value in given.items()}
    start_settings(service, filled, monkeypatch)
    assert service == "routing" or filled["CARILLON_POSTGRES_DSN"].startswith(f"postgresql://{service}:")
    assert filled["CARILLON_NATS_URL"].startswith(f"nats://{service}:")


@pytest.mark.parametrize("service", SERVICES)
def test_kubernetes_gives_every_setting_that_the_service_needs(service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    documents = manifests()
    given = dict(next(document for document in documents if document["kind"] == "ConfigMap")["data"])
    for workload in (document for document in documents if document["kind"] in ("Deployment", "StatefulSet")):
        for container in (found for found in containers(workload) if found["name"] == service):
            given |= {entry["name"]: entry.get("value", "node-0").replace("$(NODE_IP)", "192.0.2.1") for entry in container["env"]}
    # What docs/operations.md asks for: the secrets `carillon-token` and `carillon-<service>`.
    for name, value in {"token_key": "k" * 64, "postgres_dsn": "postgresql://x@y/z", "nats_url": "nats://x@y:4222"}.items():
        (tmp_path / name).write_text(value)
    start_settings(service, given | {"CARILLON_SECRETS_DIR": str(tmp_path)}, monkeypatch)


def test_the_operations_page_names_only_settings_that_exist() -> None:
    """Each row of the table of settings, by the services that it names."""
    page = (ROOT / "docs/operations.md").read_text()
    table = page.split("## Settings", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) > 10
    for names, whose in rows:
        services = SERVICES if whose.strip().startswith("all") else [service for service in SERVICES if service in whose]
        assert services, whose
        for name in re.findall(r"`([A-Z0-9_]+)`", names):
            assert all(name.lower() in settings_of(service) for service in services), (name, services)
