"""Who may call which number: classes, prefixes, codes, trunks and the number shown; and that every way out asks the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.config import CallClass
from carillon_routing.domain.authorise import Allowed, NeedsCode, Refused, authorise
from carillon_routing.domain.facts import CallFacts
from carillon_routing.domain.number_classes import classes_of
from carillon_routing.testing import SimulatedCall, small_company, to_plan

#: A number of each class, seen from Lausanne.
NUMBERS: dict[CallClass, str] = {
    "internal": "+41215550109",
    "local": "+41213154321",
    "national": "+41443154321",
    "mobile": "+41791234567",
    "international": "+33140205050",
    "premium": "+41900123456",
}
MOBILE = NUMBERS["mobile"]
BARRED = (21, 403)
TUESDAY = "2026-01-06 10:00"


def company(profile: dict[str, Any], *, anna: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Anna has the profile, ben has none, carl has its look-alike, which bars nothing."""
    users = [
        {"id": "anna", "last_name": "Anna", "restriction_profile_id": "strict", **(anna or {})},
        {"id": "ben", "last_name": "Ben"},
        {"id": "carl", "last_name": "Carl", "restriction_profile_id": "strict-2"},
    ]
    profiles = [{"id": "strict", **profile}, {"id": "strict-2"}]
    return small_company(**{"users": users, "restriction_profiles": profiles, **changes})


def decision(config: Any, number: str, user_id: str = "anna") -> Any:
    call = CallFacts(config.tenant_id, "c1", "from_user", number, config.extension_of(user_id), caller_user_id=user_id)
    return authorise(config, config.users[user_id], number, call)[0]


# -- classes and prefixes ---------------------------------------------------------------------------------------------


@pytest.mark.feature("D-14")
@pytest.mark.parametrize("barred", NUMBERS)
def test_a_barred_class_is_refused_and_no_other(barred: CallClass) -> None:
    config = company({"barred": [barred]})
    refused = {each for each, number in NUMBERS.items() if isinstance(decision(config, number), Refused)}
    assert refused == {barred}
    for other in ("ben", "carl"):
        assert isinstance(decision(config, NUMBERS[barred], other), Allowed)


@pytest.mark.feature("D-14", "R-23")
def test_the_site_of_a_department_counts_for_its_users() -> None:
    sites = [{"id": "lyon", "country": "FR", "area_code": "4", "main_number": "+33472000100"}]
    departments = [{"id": "sales", "site_id": "lyon"}, {"id": "export", "parent_id": "sales"}]
    config = company({}, anna={"department_id": "export"}, sites=sites, departments=departments)
    for number, classes in (("+33472000000", "local"), ("+33140205050", "national"), ("+33612345678", "mobile"), (MOBILE, "international")):
        assert classes_of(config, config.users["anna"], number) == (classes,)
    assert decision(config, "+33140205050").caller_number == "+33472000100"
    assert SimulatedCall.from_user(config, "anna", "0140205050").rings == [("+33140205050@carrier", 0, 120)]


@pytest.mark.feature("D-14")
@pytest.mark.parametrize(
    ("number", "classes"),
    [
        ("101", ("internal",)),
        ("+33612345678", ("international",)),
        ("+33899701234", ("international", "premium")),
        ("+97912345678", ("international", "premium")),
        ("+41840123456", ("premium",)),
        ("+41800123456", ("national",)),
        ("+41115550000", ("premium",)),
        ("+18765551234", ("international",)),
    ],
)
def test_numbers_belong_to_classes(number: str, classes: tuple[str, ...]) -> None:
    config = company({})
    assert classes_of(config, config.users["anna"], number) == classes


@pytest.mark.feature("D-14")
def test_the_users_site_says_what_is_local_and_abroad() -> None:
    sites = [{"id": "zurich", "area_code": "44"}, {"id": "paris", "country": "FR"}]
    for site, home, away in (("zurich", "local", "national"), ("paris", "international", "international")):
        config = company({}, anna={"site_id": site}, sites=sites)
        found = [classes_of(config, config.users["anna"], NUMBERS[each]) for each in ("national", "local")]
        assert found == [(home,), (away,)]


@pytest.mark.feature("D-14")
@pytest.mark.parametrize(
    ("profile", "allowed"),
    [
        ({"denied_prefixes": ["+4179"]}, False),
        ({"denied_prefixes": ["+4178"]}, True),
        ({"barred": ["mobile"], "allowed_prefixes": ["+417912"]}, True),
        ({"barred": ["mobile"], "allowed_prefixes": ["+4178"]}, False),
        ({"denied_prefixes": ["+4179"], "allowed_prefixes": ["+41791"]}, True),
        ({"denied_prefixes": ["+41791"], "allowed_prefixes": ["+41"]}, True),
    ],
)
def test_an_allowed_prefix_beats_a_denied_one_and_that_a_class(profile: dict[str, Any], allowed: bool) -> None:
    assert isinstance(decision(company(profile), MOBILE), Allowed) is allowed


@pytest.mark.feature("D-14")
def test_a_number_that_needs_a_code_is_not_let_through() -> None:
    assert decision(company({"pin_needed": ["mobile"]}), MOBILE) == NeedsCode("pin")
    policies = [{"id": "billed", "needed": ["mobile"]}]
    config = company({}, anna={"account_code_policy_id": "billed"}, account_code_policies=policies)
    assert decision(config, MOBILE) == NeedsCode("account")
    call = SimulatedCall.from_user(company({"pin_needed": ["mobile"]}), "anna", "0791234567")
    assert not call.rings


@pytest.mark.feature("D-14")
def test_a_profile_that_is_not_there_allows_nothing() -> None:
    config = company({}, restriction_profiles=[])
    assert decision(config, MOBILE) == Refused("restriction_profile/strict does not exist")


# -- emergency --------------------------------------------------------------------------------------------------------

CLASSES = list(NUMBERS)
PREFIXES = st.lists(st.sampled_from(["+", "+41", "+411", "+1", "+4179"]), max_size=3)


@pytest.mark.feature("R-18")
@given(
    st.fixed_dictionaries(
        {"barred": st.sets(st.sampled_from(CLASSES)).map(list), "pin_needed": st.sets(st.sampled_from(CLASSES)).map(list)}
        | {"denied_prefixes": PREFIXES, "allowed_prefixes": PREFIXES}
    ),
    st.lists(st.sampled_from(["carrier", "other", "gone"]), max_size=2),
    st.sampled_from(["112", "117", "118", "144"]),
    st.booleans(),
    st.sampled_from(["strict", "gone", ""]),
)
def test_an_emergency_number_is_always_allowed(
    profile: dict[str, Any], trunk_ids: list[str], number: str, withheld: bool, profile_id: str
) -> None:
    trunks = [{"id": "carrier", "address": "192.0.2.1", "prefixes": ["+33"]}, {"id": "other", "address": "192.0.2.2"}]
    anna = {"trunk_ids": trunk_ids, "withhold": withheld, "restriction_profile_id": profile_id}
    config = company(profile, anna=anna, trunks=trunks)
    call = SimulatedCall.from_user(config, "anna", number, withheld=withheld)
    assert call.rings == [(f"{number}@carrier", 0, 120)]
    assert call.shown == ("+41215550100", "")
    assert call.rang("congested").rings == [(f"{number}@other", 0, 120)]


# -- every way out ----------------------------------------------------------------------------------------------------


@pytest.mark.feature("R-18")
@pytest.mark.parametrize("transferred", [False, True])
def test_who_dials_a_barred_number_is_told_and_a_call_that_is_transferred_to_one_goes_back(transferred: bool) -> None:
    config = company({"barred": ["mobile"]})
    call = SimulatedCall.from_user(config, "anna", "0791234567", transferred=transferred)
    assert transferred or [phrase.text for phrase in call.says] == ["Vous n'êtes pas autorisé à appeler ce numéro."]
    assert call.trace()[1:4] == [
        "+ user/anna class: +41791234567 is mobile",
        "+ restriction_profile/strict barred: +41791234567 is mobile; mobile is barred",
        "- number +41791234567: user/anna may not call it: restriction_profile/strict bars mobile calls",
    ]
    assert (call if transferred else call.played()).ends == BARRED
    assert SimulatedCall.from_user(config, "carl", "0791234567", transferred=transferred).rings == [(f"{MOBILE}@carrier", 0, 120)]


@pytest.mark.feature("R-18")
@pytest.mark.parametrize("dialled", ["102", "0215550101", "199"])
def test_extensions_and_own_numbers_can_be_barred_and_lead_no_further_than_their_caller_may(dialled: str) -> None:
    extensions = [
        *({"id": f"10{n}", "destination": {"user_id": name}} for n, name in enumerate(("anna", "ben", "carl"), 1)),
        {"id": "199", "destination": {"external_number": MOBILE}},
    ]
    barred = company({"barred": ["internal"]}, extensions=extensions)
    assert SimulatedCall.from_user(barred, "anna", dialled).played().ends == BARRED
    assert SimulatedCall.from_user(barred, "carl", dialled).rings
    no_mobile = company({"barred": ["mobile"]}, extensions=extensions)
    assert bool(SimulatedCall.from_user(no_mobile, "anna", dialled).rings) is (dialled != "199")


@pytest.mark.feature("R-18")
@pytest.mark.parametrize("caller", ["ben", ""])
def test_a_forwarding_takes_the_rights_of_who_forwards_not_of_who_calls(caller: str) -> None:
    forwarding = {"forwarding": {"unconditional": {"external_number": MOBILE}}}

    def call(profile: dict[str, Any]) -> SimulatedCall:
        config = company(profile, anna=forwarding)
        if caller:
            return SimulatedCall.from_user(config, caller, "101")
        return SimulatedCall.from_outside(config, "+41215550101", TUESDAY)

    assert call({}).rings == [(f"{MOBILE}@carrier", 0, 60)]
    assert call({"barred": ["mobile"]}).played().ends == BARRED


@pytest.mark.feature("R-18")
def test_a_barred_forwarding_goes_the_way_of_the_node_that_sent_the_call() -> None:
    call = to_plan(
        {"id": "n", "destination": {"destination": {"user_id": "anna"}, "ways": {"rejected": "box"}}},
        {"id": "box", "mailbox": {"mailbox_id": "main"}},
        users=[
            {
                "id": "anna",
                "last_name": "A",
                "restriction_profile_id": "strict",
                "forwarding": {"unconditional": {"external_number": MOBILE}},
            }
        ],
        restriction_profiles=[{"id": "strict", "barred": ["mobile"]}],
    )
    assert call.mailbox == "main"


@pytest.mark.feature("R-18")
def test_phones_that_ring_too_are_called_in_the_rights_of_their_user() -> None:
    also = {"simultaneous": [{"external_number": MOBILE}], "ring_seconds": 25}
    rings = [SimulatedCall.from_user(company(profile, anna=also), "ben", "101").rings for profile in ({}, {"barred": ["mobile"]})]
    assert rings == [[("anna", 0, 25), (f"{MOBILE}@carrier", 0, 25)], [("anna", 0, 25)]]


@pytest.mark.feature("R-18")
def test_outside_members_of_a_group_are_called_in_the_rights_of_the_user_who_calls_it() -> None:
    group = {"id": "g", "strategy": "parallel", "members": [{"user_id": "ben"}, {"external_number": MOBILE}]}
    numbers = [{"id": "+41215550100", "destination": {"ring_group_id": "g"}}]
    config = company(
        {"barred": ["mobile"]}, ring_groups=[group], extensions=[{"id": "200", "destination": {"ring_group_id": "g"}}], numbers=numbers
    )

    def who(call: SimulatedCall) -> list[str]:
        return [each[0] for each in call.rings]

    assert who(SimulatedCall.from_user(config, "anna", "200")) == ["ben"]
    assert who(SimulatedCall.from_user(config, "carl", "200")) == ["ben", f"{MOBILE}@carrier"]
    assert who(SimulatedCall.from_outside(config, "+41215550100", TUESDAY)) == ["ben", f"{MOBILE}@carrier"]


# -- trunks and the number shown --------------------------------------------------------------------------------------


@pytest.mark.feature("R-18")
def test_a_line_calls_by_its_own_trunks_only() -> None:
    trunks = [{"id": each, "address": f"192.0.2.{n}", "priority": n} for n, each in enumerate(("cheap", "dear", "dearest"), 1)]
    config = company({}, anna={"trunk_ids": ["dear"]}, trunks=trunks)
    call = SimulatedCall.from_user(config, "anna", "0791234567")
    assert call.rings == [(f"{MOBILE}@dear", 0, 120)]
    assert "- trunk/cheap: is none of user/anna's trunks: dear" in call.trace()
    assert call.rang("congested").ends == (38, 503)
    assert SimulatedCall.from_user(config, "ben", "0791234567").rings == [(f"{MOBILE}@cheap", 0, 120)]


@pytest.mark.feature("D-15")
@pytest.mark.parametrize(
    ("caller_number", "shown"),
    [
        ("+41215550101", "+41215550101"),
        ("+41215550109", "+41215550109"),
        ("+41215550102", "+41215550100"),
        ("+41215550199", "+41215550100"),
        ("", "+41215550100"),
    ],
    ids=["own", "free", "another user's", "another tenant's", "none"],
)
def test_a_line_shows_its_own_number_or_a_free_one(caller_number: str, shown: str) -> None:
    numbers = [
        {"id": "+41215550100", "destination": {"plan_id": "p"}},
        {"id": "+41215550101", "destination": {"user_id": "anna"}},
        {"id": "+41215550102", "destination": {"user_id": "ben"}},
        {"id": "+41215550109"},
    ]
    config = company({}, anna={"caller_number": caller_number}, numbers=numbers)
    assert SimulatedCall.from_user(config, "anna", "0791234567").shown == (shown, "")


@pytest.mark.feature("D-15")
def test_a_line_that_withholds_its_number_shows_it_inside_only() -> None:
    config = company({}, anna={"withhold": True})
    assert decision(config, MOBILE).withheld
    assert SimulatedCall.from_user(config, "anna", "0791234567").shown == ("", "")
    assert SimulatedCall.from_user(config, "anna", "102").shown == ("101", "Anna")
    assert SimulatedCall.from_user(config, "ben", "0791234567").shown == ("+41215550100", "")


@pytest.mark.feature("D-15")
def test_a_site_has_its_own_main_number() -> None:
    config = company({}, anna={"site_id": "zurich"}, sites=[{"id": "zurich", "main_number": "+41445550100"}])
    assert SimulatedCall.from_user(config, "anna", "0791234567").shown == ("+41445550100", "")


@pytest.mark.feature("R-18")
def test_who_is_no_user_of_the_tenant_has_no_rights_to_call_outside_but_for_help() -> None:
    config = company({})
    assert SimulatedCall.from_user(config, "nobody", "0791234567").played().ends == BARRED
    assert SimulatedCall.from_user(config, "nobody", "112").rings == [("112@carrier", 0, 120)]


# -- inherited ----------------------------------------------------------------------------------------------------------


def inheriting(own: str = "", team: str = "", sales: str = "", house: str = "") -> Any:
    """Anna in the team of sales; each may have a profile: `strict` bars mobile numbers, `free` nothing."""
    return small_company(
        users=[{"id": "anna", "last_name": "A", "department_id": "team", "restriction_profile_id": own}],
        extensions=[{"id": "101", "destination": {"user_id": "anna"}}],
        departments=[
            {"id": "sales", "restriction_profile_id": sales},
            {"id": "team", "parent_id": "sales", "restriction_profile_id": team},
        ],
        house_rule_sets=[{"id": "default", "restriction_profile_id": house}],
        restriction_profiles=[{"id": "strict", "barred": ["mobile"]}, {"id": "free"}],
    )


@pytest.mark.feature("D-14")
@pytest.mark.parametrize(
    ("levels", "by"),
    [
        ({"own": "strict", "team": "free"}, ""),
        ({"team": "strict", "sales": "free", "house": "free"}, "department/team"),
        ({"sales": "strict", "house": "free"}, "department/sales"),
        ({"house": "strict"}, "house_rule_set/default"),
    ],
)
def test_the_nearest_profile_counts_and_the_trace_tells_whose_it_is(levels: dict[str, str], by: str) -> None:
    one = SimulatedCall.from_user(inheriting(**levels), "anna", MOBILE)
    assert "restriction_profile/strict bars mobile calls" in " ".join(one.trace())
    assert not one.rings
    told = f"+ user/anna: restriction_profile/strict counts, by {by}"
    assert (told in one.trace()) == bool(by)


@pytest.mark.feature("D-14")
def test_a_nearer_profile_that_bars_nothing_lets_calls_through() -> None:
    for levels in ({"own": "free", "team": "strict"}, {"team": "free", "house": "strict"}, {}):
        assert SimulatedCall.from_user(inheriting(**levels), "anna", MOBILE).rings


@pytest.mark.feature("D-14")
def test_trunks_of_the_department_are_the_only_ones() -> None:
    config = small_company(
        users=[{"id": "anna", "last_name": "A", "department_id": "sales"}],
        extensions=[{"id": "101", "destination": {"user_id": "anna"}}],
        departments=[{"id": "sales", "trunk_ids": ["other"]}],
        trunks=[{"id": "carrier", "address": "192.0.2.1"}, {"id": "other", "address": "192.0.2.2", "priority": 9}],
    )
    one = SimulatedCall.from_user(config, "anna", MOBILE)
    assert one.rings == [(f"{MOBILE}@other", 0, 120)]
    assert "- trunk/carrier: is none of department/sales's trunks: other" in one.trace()


# -- in circles over other exchanges ----------------------------------------------------------------------------------

FAR_AWAY = {"unconditional": {"external_number": MOBILE}}


def arrived(spent: int, **changes: Any) -> SimulatedCall:
    """A call to anna's number that has come far."""
    return SimulatedCall.from_outside(small_company(**changes), "+41215550101", TUESDAY, hops_spent=spent)


@pytest.mark.feature("R-23", "R-18")
@pytest.mark.parametrize(
    "changes",
    [
        {"users": [{"id": "anna", "last_name": "A", "forwarding": FAR_AWAY}]},
        {"numbers": [{"id": "+41215550101", "destination": {"external_number": MOBILE}}]},
    ],
)
def test_a_call_that_went_round_in_circles_goes_out_no_more(changes: dict[str, Any]) -> None:
    call = arrived(68, **changes)
    assert call.rings == [(f"{MOBILE}@carrier", 0, 60)]
    assert "+ hop budget: 68 of 70 hops are spent" in call.trace()
    call = arrived(69, **changes)
    assert call.ends == (25, 482)
    assert "- hop budget: 69 of 70 hops are spent: it goes round in circles between exchanges" in call.trace()


@pytest.mark.feature("R-23", "R-6")
def test_a_call_that_went_round_in_circles_rings_who_is_inside() -> None:
    members = [{"user_id": "ben"}, {"external_number": MOBILE}]
    group = {"ring_groups": [{"id": "g", "members": members}], "numbers": [{"id": "+41215550101", "destination": {"ring_group_id": "g"}}]}
    assert [who for who, _, _ in arrived(69, **group).rings] == ["ben"]
    assert [who for who, _, _ in arrived(68, **group).rings] == ["ben", f"{MOBILE}@carrier"]
    also = {"users": [{"id": "anna", "last_name": "A", "simultaneous": [{"external_number": MOBILE}]}]}
    assert [who for who, _, _ in arrived(69, **also).rings] == ["anna"]


@pytest.mark.feature("R-23", "R-18")
def test_who_hears_from_afar_that_a_call_goes_in_circles_says_so_and_tries_no_other_trunk() -> None:
    trunks = [{"id": "carrier", "address": "192.0.2.1"}, {"id": "other", "address": "192.0.2.2"}]
    call = arrived(0, users=[{"id": "anna", "last_name": "A", "forwarding": FAR_AWAY}], trunks=trunks)
    assert call.rang("rejected", 25).ends == (25, 482)
    assert "- hop budget: beyond trunk/carrier it goes round in circles" in call.trace()


@pytest.mark.feature("R-18", "D-16")
def test_help_is_called_however_far_a_call_has_come() -> None:
    call = CallFacts("acme", "c1", "from_user", "112", "101", caller_user_id="anna", hops_spent=70)
    assert isinstance(authorise(small_company(), None, "112", call)[0], Allowed)
