"""Who sees what is whose: one table of askers and of calls and boxes."""

import pytest

from carillon_contracts.config import Department, HuntGroup, Mailbox, Queue, Resource, RightsProfile, RingGroup, User
from carillon_contracts.rights import LIVE_CALL, MESSAGE, RECORD, RECORDING, Asker, boxes, level, reach, sees, ways_in, whose
from carillon_contracts.tenant_config import TenantConfig

pytestmark = pytest.mark.feature("P-3")


def config(*more: Resource) -> TenantConfig:
    """`sales` has `shop` below it; `support` stands beside."""
    members = ({"user_id": "sam"},)
    made: list[Resource] = [
        *(Department.model_validate({"id": name, "parent_id": parent}) for name, parent in (("sales", ""), ("shop", "sales"))),
        Department(id="support"),
        *(
            User.model_validate({"id": name, "first_name": name, "last_name": name, "department_id": where, "mailbox_id": f"box-{name}"})
            for name, where in _PEOPLE
        ),
        *(Mailbox(id=f"box-{name}") for name, _ in _PEOPLE),
        Mailbox(id="counter", department_id="shop"),
        Mailbox(id="main"),
        Queue(id="help", department_id="support"),
        RingGroup.model_validate({"id": "tills", "department_id": "shop", "members": members}),
        HuntGroup.model_validate({"id": "hunters", "department_id": "sales", "members": members}),
        *more,
    ]
    resources: dict[str, dict[str, Resource]] = {}
    for each in made:
        resources.setdefault(each.KIND, {})[each.id] = each
    return TenantConfig("dupont").advanced(1, resources)


_MORE = (("lea", "support", "box-ben"), ("tim", "shop", "gone"), ("kim", "support", ""))
_PEOPLE = (("anna", "sales"), ("ben", "shop"), ("sam", "support"), ("zoe", ""))
ADMIN = Asker.of({"admin"}, "user/zoe")
SALES = Asker.of({"department_admin"}, "user/anna", "sales")
SHOP = Asker.of({"department_admin"}, "key/1", "shop")
SUPPORT = Asker.of({"department_admin"}, "user/nobody", "support")
EVERYBODY = {
    "admin": ADMIN,
    "operator": Asker.of({"operator"}, "operator"),
    "service": Asker.of({"service"}, "cdr"),
    "sales": SALES,
    "shop": SHOP,
    "support": SUPPORT,
    "of none": Asker.of({"department_admin"}, "key/2"),
    "of one that is gone": Asker.of({"department_admin"}, "key/3", "closed"),
    "ben": Asker.of({"user"}, "user/ben"),
    "sam": Asker.of({"user"}, "user/sam"),
    "zoe": Asker.of({"user"}, "user/zoe"),
    "a key with a user's role": Asker.of({"user"}, "key/ben"),
    "a reseller": Asker.of({"reseller"}, "user/ben"),
}
WHOLE = {"admin", "operator", "service"}


@pytest.mark.parametrize(
    ("parties", "ways", "seen_by"),
    [
        ([], [], set()),
        (["trunk:ben", ""], [], set()),
        (["+41215550100", "who-left"], [], set()),
        (["ben"], [], {"ben", "shop", "sales"}),
        (["anna"], [], {"sales"}),
        (["sam"], [], {"sam", "support"}),
        (["zoe"], [], {"zoe"}),
        (["anna", "sam"], [], {"sales", "sam", "support"}),
        (["trunk:carrier", "ben"], [], {"ben", "shop", "sales"}),
        (["trunk:carrier"], ["queue/help"], {"support"}),
        (["trunk:carrier"], ["ring_group/tills"], {"shop", "sales"}),
        (["sam"], ["hunt_group/hunters"], {"sam", "support", "sales"}),
        ([], ["mailbox/counter"], {"shop", "sales"}),
        ([], ["mailbox/box-ben"], {"ben", "shop", "sales"}),
        ([], ["mailbox/box-zoe"], {"zoe"}),
        ([], ["mailbox/main", "queue/gone", "plan/sales", "user/ben"], set()),
    ],
)
def test_who_sees_what_is_whose(parties: list[str], ways: list[str], seen_by: set[str]) -> None:
    here = config()
    names = whose(here, parties, ways)
    assert {name for name, asker in EVERYBODY.items() if sees(reach(here, asker), names)} == seen_by | WHOLE


def test_the_boxes_that_somebody_reaches_are_those_that_they_see() -> None:
    """Also one that two people have, and what a person has that is gone."""
    here = config(
        *(User(id=name, last_name=name, department_id=where, mailbox_id=box) for name, where, box in _MORE),
    )
    for asker in EVERYBODY.values():
        reached = reach(here, asker)
        if reached is not None:
            assert boxes(here, reached) == {each for each in here.mailboxes if sees(reached, whose(here, (), [f"mailbox/{each}"]))}
    assert boxes(here, frozenset({"user/ben", "user/lea", "user/tim"})) == {"box-ben"}
    assert boxes(here, frozenset({"department/support"})) == {"box-ben", "box-sam"}


def test_departments_in_a_circle_end() -> None:
    here = config(Department(id="sales", parent_id="shop"))
    assert reach(here, SHOP) == frozenset({"department/sales", "department/shop"})


def test_the_ways_are_read_from_what_decisions_were_about() -> None:
    subjects = [
        "queue/help",
        "queue/help priority 3",
        "ring_group/tills",
        "user/ben",
        "number +41215550100",
        "",
        "queued/x",
        "mailbox/main",
    ]
    assert ways_in(subjects) == {"queue/help", "ring_group/tills", "mailbox/main"}


@pytest.mark.parametrize(
    ("profile", "what", "found"),
    [
        ("", RECORDING, "write"),
        ("gone", RECORD, ""),
        ("everything", User.KIND, "write"),
        ("everything", RECORD, ""),
        ("everything", LIVE_CALL, ""),
        ("listener", RECORDING, "read"),
        ("listener", MESSAGE, "write"),
        ("listener", RECORD, ""),
        ("listener", User.KIND, ""),
    ],
)
def test_what_was_said_is_named_by_a_profile_or_not_allowed(profile: str, what: str, found: str) -> None:
    rights = [{"resource": RECORDING}, {"resource": MESSAGE, "level": "write"}]
    listener = RightsProfile.model_validate({"id": "listener", "rights": rights})
    everything = RightsProfile.model_validate({"id": "everything", "rights": [{"resource": "*", "level": "write"}]})
    assert level(config(listener, everything), profile, what) == found
