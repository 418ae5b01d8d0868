"""Who asks of messages, and whose mailboxes they reach: a tenant's configuration of now, and the caller's token."""

from collections.abc import Mapping

from carillon_contracts.rights import MESSAGE, Asker, boxes, level, reach
from carillon_kit.errors import PermissionDenied
from carillon_kit.grpc_server import current_principal, current_tenant
from carillon_voicemail.ports import Configurations


class Access:
    """Of the call that is being served."""

    def __init__(self, configurations: Configurations) -> None:
        self._configurations = configurations

    def mailboxes(self, needed: str = "read") -> Mapping[str, str] | None:
        """Those whose messages the caller reads, or changes (`needed` is `write`), each with its department; None: all, those too that are
        gone.

        Raises `PermissionDenied` where the caller's rights profile does not allow it.
        """
        config, principal = self._configurations.of(current_tenant()), current_principal()
        asker = Asker.of(principal.roles, principal.subject, principal.department, principal.rights_profile)
        if level(config, asker.rights_profile, MESSAGE) not in (needed, "write"):
            raise PermissionDenied(f"the rights profile does not allow to {needed} a {MESSAGE}")
        reached = reach(config, asker)
        return None if reached is None else {each: config.mailboxes[each].department_id for each in boxes(config, reached)}
