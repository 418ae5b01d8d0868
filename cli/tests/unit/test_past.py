"""The commands of a tenant's past, before and after what they ask the directory."""

import argparse

import pytest

from carillon.directory.v1 import directory_pb2 as pb
from carillon_cli.commands import diff, history, restore
from carillon_cli.commands.apply import changes_told
from carillon_cli.errors import CliError
from carillon_cli.moments import as_of

pytestmark = pytest.mark.feature("D-22", "P-6")


def test_a_moment_is_a_version_or_a_time() -> None:
    assert as_of("17").config_seq == 17
    assert as_of("2026-11-24T10:00+01:00").time.ToJsonString() == "2026-11-24T09:00:00Z"
    with pytest.raises(CliError, match="no moment"):
        as_of("yesterday")


def test_a_difference_is_told_with_both_values_of_each_field() -> None:
    found = pb.Difference(resource="user", resource_id="ann", fact="updated", fields=["last_name", "title"])
    found.before.update({"last_name": "Archer"})
    found.after.update({"last_name": "Baker", "title": "Dr"})
    assert diff.told(found) == ["~ user ann", '    last_name: "Archer" -> "Baker"', '    title: - -> "Dr"']
    assert diff.told(pb.Difference(resource="site", resource_id="x", fact="created")) == ["+ site x"]


def test_a_change_is_a_line() -> None:
    change = pb.Change(config_seq=3, actor="admin@acme", fact="updated", resource="user", resource_id="ann", reason="married")
    change.time.FromJsonString("2026-11-24T09:00:00Z")
    assert " ".join(history.told([change])[1].split()) == "3 2026-11-24T09:00:00 admin@acme updated user ann married"


def test_what_was_undone_is_told() -> None:
    change = pb.AppliedChange(resource="site", resource_id="x", fact="deleted")
    assert changes_told("acme", [change], 9, dry_run=True) == ["- site x", "1 resource would change, configuration 9"]
    assert changes_told("acme", [], 9) == ["acme holds all of it already, configuration 9"]


def test_everything_or_one_resource_is_restored() -> None:
    parser = argparse.ArgumentParser()
    restore.arguments(parser)
    everything = restore.asked(parser.parse_args(["17", "--dry-run"]))
    assert everything == pb.RestoreTenantRequest(moment=pb.AsOf(config_seq=17), dry_run=True)
    one = restore.asked(parser.parse_args(["users", "anna", "--to", "17"]))
    assert one == pb.RestoreResourceRequest(resource="user", resource_id="anna", moment=pb.AsOf(config_seq=17))
    for wrong in (["users", "anna"], ["17", "--to", "3"]):
        with pytest.raises(CliError, match="--to"):
            restore.asked(parser.parse_args(wrong))
