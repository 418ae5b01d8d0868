"""The whole story of Dupont SA in pure code, from the file that the demo loads."""

from pathlib import Path

import pytest
import yaml

from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.facts import RingResult
from carillon_routing.testing import SimulatedCall, config_of

FILE = Path(__file__).parents[4] / "cli/src/carillon_cli/demo/dupont.yaml"
MAIN, SALES, ALAIN, MENU = "+41215550100", "+41215550110", "+41215550102", "+41215550120"
SUPPORT = [("bernard", 0, 10), ("claire", 10, 20)]
EVERYONE_IN_SALES = [("david", 0, 20), ("elise", 0, 20)]
ON_CALL = [("+41795550103@carrier", 0, 20), ("+41795550105@carrier", 20, 40)]


@pytest.fixture(scope="module")
def dupont() -> TenantConfig:
    return config_of(yaml.safe_load(FILE.read_text()))


@pytest.mark.feature("R-5")
@pytest.mark.parametrize("at", ["2026-01-06 08:00", "2026-01-06 11:59", "2026-01-09 14:00", "2026-01-09 17:59", "2026-03-30 08:00"])
def test_in_hours_the_main_number_rings_mme_dumas(dupont: TenantConfig, at: str) -> None:
    call = SimulatedCall.from_outside(dupont, MAIN, at)
    assert call.rings == [("dumas", 0, 20)]
    assert call.shown == ("+41791112233", "")


@pytest.mark.feature("R-5")
@pytest.mark.parametrize(
    "at", ["2026-01-06 07:59", "2026-01-06 12:00", "2026-01-06 13:59", "2026-01-06 18:00", "2026-01-10 06:59", "2026-01-11 19:00"]
)
def test_outside_hours_the_mailbox_takes_a_message(dupont: TenantConfig, at: str) -> None:
    assert SimulatedCall.from_outside(dupont, MAIN, at).mailbox == "main"


@pytest.mark.feature("R-7")
@pytest.mark.parametrize("at", ["2026-01-10 07:00", "2026-01-11 18:59"])
def test_at_the_weekend_the_mobiles_on_duty_ring_one_after_another_and_then_the_mailbox(dupont: TenantConfig, at: str) -> None:
    call = SimulatedCall.from_outside(dupont, MAIN, at)
    assert call.rings == ON_CALL
    assert call.rang("no_answer").mailbox == "main"


@pytest.mark.feature("R-2")
@pytest.mark.feature("R-3")
@pytest.mark.parametrize("result", ["no_answer", "busy", "unreachable", "rejected", "congested"])
def test_when_mme_dumas_does_not_answer_support_then_sales_then_the_mailbox(dupont: TenantConfig, result: RingResult) -> None:
    call = SimulatedCall.from_outside(dupont, MAIN, "2026-01-06 10:00").rang(result)
    assert call.rings == SUPPORT
    assert call.rang(result).rings == EVERYONE_IN_SALES
    assert call.rang(result).mailbox == "main"


@pytest.mark.feature("R-6")
def test_sales_ring_at_once_in_the_morning(dupont: TenantConfig) -> None:
    call = SimulatedCall.from_outside(dupont, SALES, "2026-01-06 10:00")
    assert call.rings == EVERYONE_IN_SALES
    assert call.rang("no_answer").mailbox == "main"


@pytest.mark.feature("R-2")
def test_in_the_afternoon_the_sales_number_follows_the_main_numbers_rules(dupont: TenantConfig) -> None:
    assert SimulatedCall.from_outside(dupont, SALES, "2026-01-06 15:00").rings == [("dumas", 0, 20)]
    assert SimulatedCall.from_outside(dupont, SALES, "2026-01-06 13:00").mailbox == "main"
    assert SimulatedCall.from_outside(dupont, SALES, "2026-01-10 10:00").rings == ON_CALL


@pytest.mark.feature("R-3")
def test_alain_dupont_is_found_by_his_forwardings(dupont: TenantConfig) -> None:
    def call() -> SimulatedCall:
        return SimulatedCall.from_outside(dupont, ALAIN, "2026-01-06 10:00")

    assert call().rings == [("alain", 0, 60)]
    assert call().rang("unreachable").rings == [("+41795550102@carrier", 0, 60)]
    assert call().rang("no_answer").rings == [("+41225550142@carrier", 0, 60)]
    assert call().rang("busy").rings == EVERYONE_IN_SALES
    assert call().rang("no_answer").shown == ("+41791112233", "")


@pytest.mark.feature("R-11")
@pytest.mark.feature("R-17")
@pytest.mark.parametrize(("language", "key", "at"), [("fr", "1", "2026-01-06 10:00"), ("en", "2", "2026-01-10 10:00")])
def test_the_menu_asks_for_the_language_and_speaks_it_from_then_on(dupont: TenantConfig, language: str, key: str, at: str) -> None:
    def call() -> SimulatedCall:
        return SimulatedCall.from_outside(dupont, MENU, at)

    assert [phrase.language for phrase in call().says] == ["fr", "en", "fr", "en"]
    assert {phrase.language for phrase in call().pressed("9").says} == {"fr", "en"}
    services = call().pressed(key)
    assert {phrase.language for phrase in services.says} == {language}
    assert {phrase.language for phrase in services.pressed("9").says} == {language}
    assert call().pressed(key).pressed("1").rings == SUPPORT
    assert call().pressed(key).pressed("2").rings == EVERYONE_IN_SALES
    assert call().pressed(key).pressed("3").rings == ON_CALL
    assert {phrase.language for phrase in call().pressed(key).pressed("*").says} == {language}


@pytest.mark.feature("R-11")
def test_who_presses_nothing_three_times_gets_the_main_numbers_rules(dupont: TenantConfig) -> None:
    call = SimulatedCall.from_outside(dupont, MENU, "2026-01-06 10:00")
    for _ in range(2):
        assert call.pressed("").says
    assert call.pressed("").rings == [("dumas", 0, 20)]


@pytest.mark.feature("R-7")
def test_support_is_an_internal_short_number_and_falls_to_sales(dupont: TenantConfig) -> None:
    call = SimulatedCall.from_user(dupont, "dumas", "200")
    assert call.rings == SUPPORT
    assert call.shown == ("101", "Denise Dumas")
    assert call.rang("no_answer").rings == EVERYONE_IN_SALES


@pytest.mark.feature("R-18")
def test_employees_call_out_with_their_own_number(dupont: TenantConfig) -> None:
    call = SimulatedCall.from_user(dupont, "elise", "022 555 12 34")
    assert call.rings == [("+41225551234@carrier", 0, 120)]
    assert call.shown == ("+41215550106", "")
    assert call.rang("congested").ends == (38, 503)


@pytest.mark.feature("R-24")
def test_every_decision_of_the_story_says_why(dupont: TenantConfig) -> None:
    call = SimulatedCall.from_outside(dupont, MAIN, "2026-01-10 12:30")
    assert call.trace()[:6] == [
        "+ number +41215550100: +41215550100 was dialled -> plan/main",
        "+ plan/main: starts at its first node -> node hours",
        "- schedule/office: Sat 2026-01-10 12:30 Europe/Zurich: closed on Sat -> node reception",
        "+ schedule/on-call: Sat 2026-01-10 12:30 Europe/Zurich is inside 07:00-19:00 of Sat -> node duty",
        "+ plan/main node duty: sends the call to a destination -> plan/on-call",
        "+ plan/on-call: starts at its first node -> node duty",
    ]
