"""Which digits call for help: as the numbering plans say that the phonenumbers library knows, and by country what they leave out.

Invariant: pure, and quick enough for every first line of a message: a set of countries is one regular expression, made once.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from phonenumbers import PhoneMetadata

from carillon_contracts.config import Site, Tenant
from carillon_contracts.inherited import site_of
from carillon_contracts.tenant_config import TenantConfig

_LONGEST = 6
#: In every country (3GPP TS 22.101 section 10.1).
_EVERYWHERE = "112"
#: By ISO 3166 country.
_LEFT_OUT: Mapping[str, frozenset[str]] = {
    # Rescue for children once, now 116000 (royal decree of 2 February 2007 on the emergency services).
    "BE": frozenset({"110"}),
    # Two helplines (Ordinance on Telecommunications Services, SR 784.101.1), rescue by air (Rega).
    "CH": frozenset({"143", "147", "1414"}),
    # Deaf people, shelter, children in danger, rescue at sea (Arcep, list of emergency numbers, decision 02-1179 as amended).
    "FR": frozenset({"114", "115", "119", "196"}),
    # Prevention of suicide (113 Zelfmoordpreventie).
    "NL": frozenset({"113"}),
}


def is_emergency(digits: str, countries: frozenset[str]) -> bool:
    """Whether these digits, as dialled, call for help in one of the countries (ISO 3166)."""
    return len(digits) <= _LONGEST and digits.isascii() and _pattern(countries).fullmatch(digits) is not None


def countries_of(config: TenantConfig, user_ids: Iterable[str] = ()) -> frozenset[str]:
    """Whose emergency numbers count for these users: the tenant's, and those of their sites."""
    users = (config.users.get(user_id) for user_id in user_ids)
    sites = (site_of(config, user) for user in users if user is not None)
    return frozenset((config.tenant.country, *(site.country for site in sites if site is not None and site.country)))


def countries_in(config: TenantConfig) -> frozenset[str]:
    """Those of the tenant and of all its sites; none before the tenant exists."""
    tenant = config.get(Tenant, config.tenant_id)
    return config.derived("countries of sites", Site, _countries) | ({tenant.country} if tenant is not None else frozenset())


def _countries(sites: Mapping[str, Site]) -> frozenset[str]:
    return frozenset(site.country for site in sites.values() if site.country)


@lru_cache(4096)
def _pattern(countries: frozenset[str]) -> re.Pattern[str]:
    """Every emergency number of these countries, and nothing else."""
    return re.compile("|".join(sorted({_EVERYWHERE}.union(*map(_of_country, countries)))))


def _of_country(country: str) -> frozenset[str]:
    metadata = PhoneMetadata.short_metadata_for_region(country)
    plan = metadata.emergency.national_number_pattern if metadata is not None and metadata.emergency is not None else None
    return _LEFT_OUT.get(country, frozenset()) | ({f"(?:{plan})"} if plan else frozenset())
