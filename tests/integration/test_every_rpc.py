"""Every rpc of every service, found by reflection: who may call it, and what it does with requests that nobody sends in good faith.

A new rpc fails here until `RIGHTS` lists who may call it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import orjson
import pytest
from google.protobuf import message_factory
from google.protobuf.message import Message

from carillon_kit.auth import issue_token
from strangers import nasty, planted
from strangers.reflection import Answer, Reflected
from strangers.story import Story
from strangers.system import System, until

pytestmark = pytest.mark.feature("P-1", "P-3")

Who = frozenset[str]
OPEN: Who = frozenset({"nobody"})
OPERATOR: Who = frozenset({"operator"})
SERVICE: Who = frozenset({"service"})
RESELLER = OPERATOR | {"reseller"}
ADMIN = OPERATOR | {"admin"}
SCOPED = ADMIN | {"department_admin"}
OWN = SCOPED | {"user"}
READER = ADMIN | SERVICE
ANYBODY = READER | {"department_admin", "user", "reseller"}
ROLES = sorted(ANYBODY)

#: Kinds of resources, and what a list of them is called.
_NOUNS = """
AccountCodePolicy/AccountCodePolicies Agent/Agents Audio/Audios CallerList/CallerLists ConferenceRoom/ConferenceRooms
Contact/Contacts Department/Departments Device/Devices EmergencyRecipient/EmergencyRecipients Extension/Extensions
ExtensionRange/ExtensionRanges FaxBox/FaxBoxes HouseRuleSet/HouseRuleSets HuntGroup/HuntGroups LookUpTable/LookUpTables
Mailbox/Mailboxes Menu/Menus Number/Numbers NumberBlock/NumberBlocks NumberGroup/NumberGroups OriginZone/OriginZones
PagingGroup/PagingGroups ParkingLot/ParkingLots PickupGroup/PickupGroups Plan/Plans PlanDraft/PlanDrafts PlanTest/PlanTests
Playlist/Playlists ProvisioningProfile/ProvisioningProfiles Queue/Queues RecordingPolicy/RecordingPolicies
RestrictionProfile/RestrictionProfiles RightsProfile/RightsProfiles RingGroup/RingGroups Schedule/Schedules
ShortCode/ShortCodes ShortNumberRule/ShortNumberRules SipCredential/SipCredentials Site/Sites Supervision/Supervisions
Trunk/Trunks TrunkCredential/TrunkCredentials User/Users
"""
_KINDS = _NOUNS.split()


def _service(name: str, who: Who, rpcs: str) -> dict[str, Who]:
    return {f"carillon.{name}/{rpc}": who for rpc in rpcs.split()}


def _kind(noun: str, plural: str) -> dict[str, Who]:
    return _service(f"directory.v1.{noun}Service", SCOPED, f"Get{noun} List{plural} Create{noun} Update{noun} Delete{noun}")


_EVERYWHERE: dict[str, Who] = {
    "grpc.health.v1.Health/Check": OPEN,
    "grpc.health.v1.Health/List": OPEN,
    "grpc.health.v1.Health/Watch": OPEN,
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": OPEN,
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": OPEN,
}
_DIRECTORY = {name: who for kind in _KINDS for name, who in _kind(*kind.split("/")).items()}
#: Who may call which rpc of which process.
RIGHTS: Mapping[str, Mapping[str, Who]] = {
    "directory": _EVERYWHERE
    | _DIRECTORY
    | _service("directory.v1.AuthService", OPEN, "Login Refresh Logout ExchangeApiKey ForgotPassword ChoosePassword ListPublicKeys")
    | _service("directory.v1.AuthService", ANYBODY, "WhoAmI ChangePassword BeginSecondFactor ConfirmSecondFactor")
    | _service(
        "directory.v1.AccessService",
        ADMIN,
        "SetPassword RemoveLogin RemoveSecondFactor CreateApiKey ListApiKeys RevokeApiKey",
    )
    | _service("directory.v1.AccessService", SCOPED, "SendWelcome UnlockLogin GetLogin ListLogins")
    | _service("directory.v1.PersonService", ADMIN | {"user"}, "ExportPerson")
    | _service("directory.v1.PersonService", ADMIN, "ErasePerson GetErasure")
    | _service("directory.v1.ResellerService", RESELLER, "GetReseller ListResellers ListResellerChanges")
    | _service("directory.v1.ResellerService", OPERATOR, "CreateReseller UpdateReseller DeleteReseller")
    | _service("directory.v1.TenantService", RESELLER, "ListTenants CreateTenant DeleteTenant")
    | _service("directory.v1.TenantService", RESELLER | ADMIN, "GetTenant UpdateTenant ListTenantChanges")
    | _service("directory.v1.TenantService", frozenset({"reseller"}), "EnterTenant")
    | _service("directory.v1.SubscriptionService", RESELLER, "ListSubscriptions UpdateSubscription")
    | _service("directory.v1.SubscriptionService", RESELLER | ADMIN, "GetSubscription")
    | _service("directory.v1.HistoryService", ADMIN, "UndoChange CompareConfigurations RestoreTenant RestoreResource")
    | _service("directory.v1.HistoryService", SCOPED, "ListChanges")
    | _service("directory.v1.ExtensionService", SCOPED, "AssignExtensions")
    | _service("directory.v1.NumberBlockService", SCOPED, "ListBlockNumbers")
    | _service("directory.v1.ShortCodeService", SCOPED, "AssignShortCodes MoveShortCodes")
    | _service("directory.v1.NumberService", SCOPED, "AssignNumber FreeNumber")
    | _service("directory.v1.PlanService", SCOPED, "ActivatePlan ActivatePlanWithProgress RollBackPlan CheckPlan")
    | _service("directory.v1.SipCredentialService", SCOPED, "LogInPhone LogOutPhone")
    | _service("directory.v1.UserService", SCOPED, "ResetLine")
    | _service("directory.v1.DeviceService", SCOPED, "MoveDevice AssignDevice FreeDevice")
    | _service("directory.v1.ScheduleService", SCOPED, "ImportHolidays SetScheduleMode")
    | _service("directory.v1.ImportService", ADMIN, "ApplyTenant ImportTenant ExportTenant")
    | _service("directory.v1.BatchService", SCOPED, "ApplyBatch")
    | _service("directory.v1.BatchService", RESELLER, "ApplyInstallationBatch")
    | _service("directory.v1.CsvService", ADMIN, "ImportCsv ExportCsv")
    | _service("directory.v1.SearchService", SCOPED, "ListUses")
    | _service("directory.v1.SearchService", OWN, "Search")
    | _service("directory.v1.SearchService", RESELLER, "SearchTenants")
    | _service("directory.v1.UserService", OWN, "GetUser ListUsers UpdateUser")
    | _service("directory.v1.MailboxService", OWN, "GetMailbox ListMailboxes UpdateMailbox")
    | _service("directory.v1.ContactService", OWN, "GetContact ListContacts ListInternalContacts CreateContact UpdateContact DeleteContact")
    | _service("directory.v1.SipCredentialService", OWN, "GetSipCredential ListSipCredentials")
    | _service("directory.v1.DeviceService", OWN, "GetDevice ListDevices")
    | _service("directory.v1.ExtensionService", OWN, "GetExtension ListExtensions")
    | _service("directory.v1.NumberService", OWN, "GetNumber ListNumbers")
    | _service("directory.v1.LineService", OWN, "GetLineStatus")
    | _service("directory.v1.ProvisioningService", ADMIN, "PrepareDevice WithdrawDevice GetProvisioning"),
    "routing": _EVERYWHERE
    | _service("common.v1.CallApplication", SERVICE | OPERATOR, "Next Await")
    | _service("routing.v1.CodeService", ADMIN, "UnlockCodes")
    | _service("routing.v1.CallBackService", ADMIN, "ListCallBacks CancelCallBack")
    | _service("routing.v1.RoutingService", ADMIN, "Simulate ReplayCall")
    | _service("routing.v1.RoutingService", READER, "TestPlan TestPlanWithProgress ComparePlan")
    | _service("routing.v1.ExplainService", ADMIN, "ExplainCall WatchNumbers")
    | _service("routing.v1.HuntGroupControlService", ADMIN, "GetHuntGroups LogInMember LogOutMember")
    | _service(
        "routing.v1.QueueControlService",
        OWN,
        "GetQueues WatchQueues LogInAgent LogOutAgent PauseAgent ResumeAgent RankCaller ReleaseCaller",
    ),
    "media": _EVERYWHERE
    | _service("media.v1.LiveCallService", READER | OWN, "ListLiveCalls")
    | _service("media.v1.RegistrationService", READER, "ListRegistrations")
    | _service("media.v1.TrunkStateService", READER, "ListTrunkStates")
    | _service("media.v1.SecurityService", OPERATOR, "ListBans LiftBan")
    | _service("media.v1.SecurityService", SCOPED, "UnlockLine")
    | _service("media.v1.NodeService", OPERATOR | SERVICE, "GetNode GetMediaPlane Drain")
    | _service("media.v1.AudioService", ADMIN, "UploadAudio RecordByPhone")
    | _service("media.v1.AudioService", READER, "FetchAudio")
    | _service(
        "media.v1.ConferenceService",
        READER,
        "ListConferences WatchConference MuteParty KickParty LockConference CloseConference"
        " StartConferenceRecording StopConferenceRecording",
    )
    | _service(
        "media.v1.CallControlService",
        READER | OWN,
        "HangUpCall HoldLeg ResumeLeg TransferCall AnswerCall ConsultTransfer CompleteTransfer ParkCall UnparkCall PickUpCall"
        " SuperviseCall OpenDoor SendDigits OriginateCall",
    )
    | _service(
        "media.v1.CallControlService",
        READER | SCOPED,
        "PlayToCall StartRecording StopRecording PauseRecording ResumeRecording WatchCallEvents",
    ),
    "voicemail": _EVERYWHERE
    | _service("common.v1.CallApplication", SERVICE, "Next Await")
    | _service("voicemail.v1.ConferenceInvitationService", ADMIN, "InviteToConference CancelInvitation ListInvitations")
    | _service("voicemail.v1.MessageService", READER, "ExportLetters")
    | _service(
        "voicemail.v1.MessageService",
        READER | OWN,
        "ListMessages GetMessage FetchMessageAudio MarkMessage DeleteMessage UndeleteMessage",
    ),
    "cdr": _EVERYWHERE
    | _service("cdr.v1.LedgerService", SERVICE, "ConfirmCalls")
    | _service("cdr.v1.RecordService", READER, "StreamDecisions")
    | _service("cdr.v1.RecordService", READER | SCOPED, "ListCallEvents")
    | _service("cdr.v1.RecordService", READER | OWN, "ListRecords GetRecord")
    | _service("cdr.v1.RecordingService", SCOPED, "DeleteRecording")
    | _service("cdr.v1.RecordingService", OWN, "ListRecordings FetchRecording"),
}
_DRAIN = "carillon.media.v1.NodeService/Drain"
_SECONDS = 20.0
#: Of streams that have no end.
_STREAM_SECONDS = 1.0
Metadata = tuple[tuple[str, str], ...]
#: Words of Dupont SA that no planted request says: who hears one was told something of theirs.
_TELLING = ("Rochat", "Keller", "Müller", "accueil@", "Heures d'ouverture", "001565000101", "+4179555")
#: Who has too little right: their token, the names of what is others' for them, and words of others' that they do not hear.
_NARROW: Mapping[str, tuple[Callable[["Doors"], Metadata], Mapping[str, str], Sequence[str]]] = {
    "user": (lambda doors: doors.token("user", person="claire"), {"contact": "opera", "mailbox": "main"}, ("Opéra", "accueil@")),
    "department_admin": (
        lambda doors: doors.token("department_admin", person="david of sales"),
        {"user": "bernard", "department": "support", "extension": "103"},
        ("Favre", "Rochat", "+41795550103", "Opéra"),
    ),
    "department_admin, of no department": (lambda doors: doors.token("department_admin"), {}, _TELLING),
    "admin, who may read alone": (lambda doors: doors.token("admin", rights_profile="reader"), {}, ()),
}
processes = pytest.mark.parametrize("process", RIGHTS)


def name_of(method: Any) -> str:
    return f"{method.containing_service.full_name}/{method.name}"


class Doors:
    """The running system's rpcs, and tokens of every role."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.key = orjson.loads((system.data / "secrets.json").read_bytes())["token_key"]
        self.servers = {name: Reflected(system.run["grpc"][name], "") for name in RIGHTS}
        self.methods = {name: list(server.methods()) for name, server in self.servers.items()}

    def token(
        self, role: str, tenant: str = "dupont", named: str = "dupont", key: str = "", rights_profile: str = "", person: str = ""
    ) -> Metadata:
        """Metadata of a caller; those above the tenants have a token that names none. `person`: whose token, as `david of sales`."""
        own = None if role in ("operator", "service", "reseller") else tenant
        name, _, department = person.partition(" of ")
        within = {"rights_profile": rights_profile, "department": department}
        token = issue_token(key or self.key, f"user/{name or role}", own, [role], 600, **within)
        return (("authorization", f"Bearer {token}"), ("carillon-tenant", named))

    def send(self, process: str, method: Any, request: Message | None, metadata: Metadata) -> Answer:
        """One call, with an empty request for None."""
        seconds = _STREAM_SECONDS if method.server_streaming else _SECONDS
        said = message_factory.GetMessageClass(method.input_type)() if request is None else request
        return self.servers[process].send(method, said, metadata, seconds)

    def guarded(self, process: str) -> Iterator[tuple[str, Any, Who]]:
        """Name, descriptor and rights of what needs a token."""
        for method in self.methods[process]:
            who = RIGHTS[process][name_of(method)]
            if who != OPEN:
                yield name_of(method), method, who

    def method(self, process: str, name: str) -> Any:
        """The descriptor of `directory.v1.UserService/GetUser`."""
        return next(method for method in self.methods[process] if name_of(method) == f"carillon.{name}")

    def holding(self) -> bytes:
        """Everything that Dupont SA holds."""
        export = self.method("directory", "directory.v1.ImportService/ExportTenant")
        parts = self.send("directory", export, None, self.token("operator")).messages
        assert parts
        return b"".join(part.SerializeToString(deterministic=True) for part in parts)

    def live_calls(self, metadata: Metadata) -> list[Any]:
        """Calls that are up, as whoever has the token sees them."""
        answer = self.send("media", self.method("media", "media.v1.LiveCallService/ListLiveCalls"), None, metadata)
        return list(answer.messages[0].calls)  # type: ignore[attr-defined]

    def config_seq(self) -> int:
        method = self.method("directory", "directory.v1.TenantService/GetTenant")
        request = message_factory.GetMessageClass(method.input_type)(id="dupont")
        answer = self.send("directory", method, request, self.token("operator"))
        return int(answer.messages[0].tenant.config_seq)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def doors(system: System) -> Doors:
    return Doors(system)


@processes
def test_the_table_lists_every_rpc_and_no_other(doors: Doors, process: str) -> None:
    assert {name_of(method) for method in doors.methods[process]} == set(RIGHTS[process])


@processes
def test_without_a_good_token_nothing_is_told(doors: Doors, process: str) -> None:
    strangers = {"none": (("carillon-tenant", "dupont"),), "forged": doors.token("operator", key="k" * 32)}
    told = [
        (name, kind, answer.code)
        for name, method, _ in doors.guarded(process)
        for kind, metadata in strangers.items()
        if (answer := doors.send(process, method, None, metadata)).code != grpc.StatusCode.UNAUTHENTICATED
    ]
    assert told == []


@processes
def test_another_tenants_admin_is_refused(doors: Doors, process: str) -> None:
    stranger = doors.token("admin", tenant="durand")
    answers = {name: doors.send(process, method, None, stranger).code for name, method, _ in doors.guarded(process)}
    assert {name: code for name, code in answers.items() if code != grpc.StatusCode.PERMISSION_DENIED} == {}


@processes
def test_a_role_that_is_not_listed_is_refused(doors: Doors, process: str) -> None:
    tokens = {role: doors.token(role) for role in ROLES}
    let_in = [
        (name, role, answer.code)
        for name, method, who in doors.guarded(process)
        for role in ROLES
        if role not in who and (answer := doors.send(process, method, None, tokens[role])).code != grpc.StatusCode.PERMISSION_DENIED
    ]
    assert let_in == []


@pytest.mark.parametrize("process", [name for name in RIGHTS if name != "directory"])
def test_a_rights_profile_opens_nothing_but_the_directory(doors: Doors, process: str) -> None:
    narrowed = doors.token("admin", rights_profile="reader")
    answers = {name: doors.send(process, method, None, narrowed) for name, method, who in doors.guarded(process) if "admin" in who}
    assert answers
    assert {name: answer.code for name, answer in answers.items() if answer.code != grpc.StatusCode.PERMISSION_DENIED} == {}
    assert [name for name, answer in answers.items() if "rights profile" not in answer.details] == []


@processes
def test_hostile_requests_are_refused_and_change_nothing(doors: Doors, process: str) -> None:
    before, pids = doors.config_seq(), doors.system.run["processes"]
    faults = []
    with ThreadPoolExecutor(6) as pool:
        for method in doors.methods[process]:
            name = name_of(method)
            if name == _DRAIN:  # An empty request is a good one, and the node would take no more calls.
                continue
            metadata = _caller(doors, RIGHTS[process][name])
            asked = [
                (what, pool.submit(doors.send, process, method, request, metadata)) for what, request in nasty.requests(method.input_type)
            ]
            faults += [(name, what, fault) for what, future in asked if (fault := _fault(future.result()))]
            if (now := doors.config_seq()) != before:
                faults.append((name, "any", f"config_seq went from {before} to {now}"))
                before = now
    assert faults == []
    assert doors.system.run["processes"] == pids


@processes
def test_each_text_of_a_request_is_refused_when_it_is_huge(doors: Doors, known: Mapping[str, str], process: str) -> None:
    """In requests that are right but for this, so that the field is looked at and none before it is to blame."""
    before, pids, faults = doors.holding(), doors.system.run["processes"], []
    with ThreadPoolExecutor(6) as pool:
        asked = [
            (name_of(method), field, pool.submit(doors.send, process, method, request, _caller(doors, RIGHTS[process][name_of(method)])))
            for method in doors.methods[process]
            if name_of(method).startswith("carillon.")
            for field, request in planted.each_text(method, known, nasty.STRINGS["huge"])
        ]
        for name, field, future in asked:
            answer = future.result()
            # A list of what fits nothing is empty.
            taken = answer.code == grpc.StatusCode.OK and any(message.ListFields() for message in answer.messages)
            if fault := "was taken" if taken else _fault(answer):
                faults.append((name, field, fault))
    assert not faults, "\n".join(map(str, faults))
    assert doors.holding() == before
    assert doors.system.run["processes"] == pids


def test_a_stale_etag_changes_nothing(doors: Doors) -> None:
    before = doors.config_seq()
    by_name = {name_of(method): method for method in doors.methods["directory"]}
    faults, seen = [], 0
    for kind in ["Tenant/Tenants", *_KINDS]:
        noun, plural = kind.split("/")
        service = f"carillon.directory.v1.{noun}Service"
        metadata = doors.token("operator")
        listed = doors.send("directory", by_name[f"{service}/List{plural}"], None, metadata)
        found = next((value for field, value in listed.messages[0].ListFields() if field.name != "next_page_token"), ())
        for request, method in _stale(by_name, f"{service}/", noun, found):
            seen += 1
            answer = doors.send("directory", method, request, metadata)
            if answer.code != grpc.StatusCode.ABORTED:
                faults.append((name_of(method), answer.code, answer.details))
    assert faults == []
    assert seen > 20
    assert doors.config_seq() == before


@pytest.fixture(scope="module")
def known(doors: Doors) -> Iterator[Mapping[str, str]]:
    """The name of one thing of each kind of Dupont SA's, what fields call it; a call of theirs is up."""
    names = {"tenant": "dupont", "person": "alain", "reseller": "nobody", "config_seq": str(doors.config_seq())}
    for kind in _KINDS:
        noun, plural = kind.split("/")
        listed = doors.send("directory", doors.method("directory", f"directory.v1.{noun}Service/List{plural}"), None, doors.token("admin"))
        found = next((value for field, value in listed.messages[0].ListFields() if field.name != "next_page_token"), ())
        names |= {planted.snake(noun): each.id for each in found[:1]}
    create, delete = (doors.method("directory", f"directory.v1.RightsProfileService/{verb}RightsProfile") for verb in ("Create", "Delete"))
    reader: Any = message_factory.GetMessageClass(create.input_type)()
    reader.rights_profile.id = "reader"
    reader.rights_profile.rights.add(resource="*")
    assert doors.send("directory", create, reader, doors.token("admin")).code == grpc.StatusCode.OK
    yield names | {"user": "alain", "room": "trois", "rights_profile": "reader"}
    gone = message_factory.GetMessageClass(delete.input_type)(id="reader")
    assert doors.send("directory", delete, gone, doors.token("admin")).code == grpc.StatusCode.OK


@pytest.fixture
def up(doors: Doors) -> Iterator[Any]:
    """A call of Dupont SA's that is up: Alain Dupont talks to Mme Dumas."""
    story, admin = Story(doors.system), doors.token("admin")
    try:
        with story.phone("101", "answer.xml") as phone, story.user_call("102", "101", 120_000):
            call = until(lambda: _talking(doors.live_calls(admin), "102"), "the call is up", 60)
            yield call
            hang_up = doors.method("media", "media.v1.CallControlService/HangUpCall")
            request = message_factory.GetMessageClass(hang_up.input_type)(call_id=call.call_id)
            assert doors.send("media", hang_up, request, admin).code == grpc.StatusCode.OK
            phone.succeed()
    finally:
        story.close()


@pytest.fixture(scope="module")
def neighbour(doors: Doors) -> Metadata:
    """The token of the admin of another tenant, which has nothing yet."""
    create = doors.method("directory", "directory.v1.TenantService/CreateTenant")
    request: Any = message_factory.GetMessageClass(create.input_type)()
    request.tenant.id, request.tenant.realm = "durand", "durand.example"
    assert doors.send("directory", create, request, doors.token("operator")).code == grpc.StatusCode.OK
    return doors.token("admin", tenant="durand", named="durand")


@processes
def test_names_of_ours_are_nothing_to_another_tenant(doors: Doors, neighbour: Metadata, known: Mapping[str, str], process: str) -> None:
    before, faults = doors.holding(), list[tuple[str, object]]()
    with ThreadPoolExecutor(6) as pool:
        asked = [
            (name, pool.submit(doors.send, process, method, planted.request(method, known), neighbour))
            for name, method, who in doors.guarded(process)
            if "admin" in who
        ]
        for name, future in asked:
            answer = future.result()
            told = [word for word in _TELLING if any(word in str(message) for message in answer.messages)]
            faults += [(name, told)] if told else []
            faults += [(name, fault)] if (fault := _fault(answer)) else []
    assert faults == []
    assert doors.holding() == before


def test_a_call_of_ours_is_nothing_to_another_tenant(doors: Doors, neighbour: Metadata, known: Mapping[str, str], up: Any) -> None:
    reached = []
    names = {**known, "call": up.call_id, "leg": up.legs[0].leg_id, "consult_call": "another"}
    names |= {"slot": "701", "phone": "+41215550199", "digits": "1"}
    for process in ("media", "routing", "cdr"):
        for name, method, who in doors.guarded(process):
            if "admin" in who and planted.names(method, "call", "leg"):
                answer = doors.send(process, method, planted.request(method, names), neighbour)
                unknown = answer.code == grpc.StatusCode.NOT_FOUND or "of this tenant" in answer.details
                if not unknown and (answer.code != grpc.StatusCode.OK or any(message.ListFields() for message in answer.messages)):
                    reached.append((name, answer.code, answer.details, answer.messages))
    assert not reached, "\n".join(map(str, reached))
    assert doors.live_calls(neighbour) == []
    assert (up.call_id, "talking") in [(call.call_id, call.state) for call in doors.live_calls(doors.token("admin"))]


@pytest.mark.parametrize("who", list(_NARROW))
def test_too_little_right_changes_nothing_of_others(doors: Doors, known: Mapping[str, str], who: str) -> None:
    token, names, secret = _NARROW[who]
    metadata, before, done = token(doors), doors.holding(), []
    role = who.split(",")[0]
    for name, method, roles in doors.guarded("directory"):
        if role not in roles:
            continue
        answer = doors.send("directory", method, planted.request(method, {**known, **names}), metadata)
        reads = method.name.startswith(("Get", "List", "Search", "Compare", "Export", "Check", "WhoAmI"))
        if not reads and answer.code == grpc.StatusCode.OK:
            done.append((name, "was done"))
        # Who works here, and how they are called, everybody of the company may know.
        done += [
            (name, word)
            for word in secret
            if method.name != "ListInternalContacts" and any(word in str(message) for message in answer.messages)
        ]
        done += [(name, fault)] if (fault := _fault(answer)) else []
    assert not done, "\n".join(map(str, done))
    assert doors.holding() == before


def _talking(calls: Sequence[Any], caller: str) -> Any:
    return next((each for each in calls if (each.caller, each.state) == (caller, "talking")), None)


def _caller(doors: Doors, who: Who) -> Metadata:
    role = next((role for role in ("admin", "operator", "service", "reseller") if role in who), "")
    return doors.token(role) if role else ()


def _fault(answer: Answer) -> str:
    """What is wrong with how a hostile request was answered; empty: nothing."""
    if answer.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE):
        return f"{answer.code.name}: {answer.details}"
    if answer.code == grpc.StatusCode.INVALID_ARGUMENT and not any(answer.violations.values()):
        return f"no field is named: {answer.details}"
    return ""


def _stale(methods: Mapping[str, Any], prefix: str, noun: str, found: Any) -> Iterator[tuple[Message, Any]]:
    """Requests to change and to delete the first that was found, as somebody knew it long ago."""
    if not found:
        return
    update = methods[f"{prefix}Update{noun}"]
    request = message_factory.GetMessageClass(update.input_type)()
    resource = getattr(request, next(field.name for field in update.input_type.fields if field.name not in ("update_mask", "reason")))
    resource.CopyFrom(found[0])
    resource.etag = "stale"
    yield request, update
    if delete := methods.get(f"{prefix}Delete{noun}"):
        yield message_factory.GetMessageClass(delete.input_type)(id=found[0].id, etag="stale"), delete
