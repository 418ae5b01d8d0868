import argparse

import pytest

from carillon_cli.commands import up
from carillon_cli.errors import CliError
from carillon_cli.supervisor.layout import GRPC_SERVICES, Ports

pytestmark = pytest.mark.feature("P-4")


def ports(*arguments: str) -> Ports:
    parser = argparse.ArgumentParser()
    up.arguments(parser)
    return up.chosen_ports(parser.parse_args(arguments))


def test_the_usual_ports_without_options() -> None:
    assert ports() == Ports()


def test_a_base_moves_all_grpc_ports_together() -> None:
    found = ports("--grpc-port-base", "9001")
    assert [found.grpc(service) for service in GRPC_SERVICES] == [9001, 9002, 9003, 9004, 9005]


def test_a_named_port_wins_over_a_free_one() -> None:
    assert ports("--ports", "auto", "--sip-port", "5070").sip == 5070


def test_the_rtp_range_is_low_dash_high() -> None:
    found = ports("--rtp-ports", "30000-30099")
    assert (found.rtp_low, found.rtp_high) == (30000, 30099)
    with pytest.raises(CliError, match="LOW-HIGH"):
        ports("--rtp-ports", "many")


def test_listening_everywhere_needs_an_address_for_phones() -> None:
    with pytest.raises(CliError, match="listens everywhere"):
        up.advertised("0.0.0.0", None)
    assert up.advertised("0.0.0.0", "192.0.2.7") == "192.0.2.7"
    assert up.advertised("127.0.0.1", None) == "127.0.0.1"
