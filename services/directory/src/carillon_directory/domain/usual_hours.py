"""What a new schedule is open at when nothing is said: Monday to Friday, 09:00 to 12:00 and 13:00 to 18:00."""

from pydantic import JsonValue

from carillon_contracts.config import Department, Schedule, Site
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.commands import CreateResource, Document
from carillon_directory.domain.organisation import site_of

_USUAL = (("09:00", "12:00"), ("13:00", "18:00"))


def begun(config: TenantConfig, command: CreateResource) -> Document:
    """The document of a new schedule, with opening hours unless it says when it is open, and the time zone of its department's site."""
    document = command.document
    if command.kind != Schedule.KIND:
        return document
    more: dict[str, JsonValue] = {}
    if command.usual_hours and not document.get("ranges") and not document.get("exceptions"):
        more["ranges"] = [{"weekdays": [1, 2, 3, 4, 5], "start": start, "end": end} for start, end in _USUAL]
    department = config.get(Department, str(document.get("department_id") or ""))
    site = config.get(Site, site_of(config, department)) if department is not None else None
    if not document.get("time_zone") and site is not None and site.time_zone not in ("", config.tenant.time_zone):
        more["time_zone"] = site.time_zone
    return {**document, **more}
