"""The tenant of a call that goes beyond single resources: not for whoever's rights are narrowed by a profile."""

from carillon_kit.errors import PermissionDenied
from carillon_kit.grpc_server import current_principal, current_tenant


def current_whole_tenant() -> str:
    """As `current_tenant`; raises `PermissionDenied` for a token with a rights profile, which is checked resource by resource."""
    if current_principal().rights_profile:
        raise PermissionDenied("the caller's rights profile allows single resources only")
    return current_tenant()
