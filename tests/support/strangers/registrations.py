"""Who is registered at the running system, and how whoever was left behind leaves."""

from collections import defaultdict

import grpc

from carillon.media.v1.media_pb2 import ListRegistrationsRequest, ListRegistrationsResponse
from carillon.media.v1.media_pb2_grpc import RegistrationServiceStub
from strangers.sipp import Sipp, credentials
from strangers.system import System, until

_CONTACT = "Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>"


def registered(system: System) -> dict[str, list[str]]:
    """Contacts of the example company by SIP user; a media process that is just started again is waited for."""
    run = system.run
    metadata = (("authorization", f"Bearer {run['admin_token']}"), ("carillon-tenant", "dupont"))

    def answer() -> ListRegistrationsResponse | None:
        try:
            return stub.ListRegistrations(ListRegistrationsRequest(), metadata=metadata, timeout=10)
        except grpc.RpcError:
            return None

    found: defaultdict[str, list[str]] = defaultdict(list)
    with grpc.insecure_channel(run["grpc"]["media"]) as channel:
        stub = RegistrationServiceStub(channel)
        for each in until(answer, "the list of registrations").registrations:
            found[each.sip_user].append(each.contact)
    return found


def leave(system: System, sip_user: str) -> None:
    """With every contact at once (RFC 3261 section 10.2.2)."""
    user = next((each for each in system.tenant["users"] if each.get("sip_user") == sip_user), None)
    if user is not None:
        keys = {"user": sip_user, "realm": system.tenant["realm"], "expires": "0"}
        with Sipp("register.xml", system.sip, *credentials(user), replace={_CONTACT: "Contact: *"}, **keys) as sipp:
            sipp.succeed()
