"""Whose something is, among many tenants: by what the tenants are called, and by what may stand once in the installation. Pure."""

from collections.abc import Iterable, Iterator, Mapping

import phonenumbers

from carillon_contracts.config import Device, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.claims import Claim, device_with
from carillon_directory.domain.documents import dump
from carillon_directory.domain.search import Found, SearchIndex, asked

#: Countries whose national numbers are tried.
_MOST_COUNTRIES = 20


def tenants_called(configs: Iterable[TenantConfig], query: str, limit: int) -> tuple[list[Found], bool]:
    """Tenants by id, name, domain and main number, the best first."""
    index = SearchIndex()
    index.begin(0, {Tenant.KIND: {each.tenant_id: dump(each.tenant) for each in configs}})
    return index.find(query, limit)


def beginnings(query: str, countries: Iterable[str]) -> list[str]:
    """Of claimed values that a query may mean: a MAC, a SIP user, a number in any of the forms in which people write it."""
    words = asked(query)
    found = [query.strip().lower()]
    if len(words) == 1:
        word = words[0]
        found += [word, f"+{word}"]
        if word.isdecimal() and word.startswith("00"):
            found.append(f"+{word[2:]}")
        elif word.isdecimal() and word.startswith("0"):
            codes = {phonenumbers.country_code_for_region(country) for country in sorted(set(countries))[:_MOST_COUNTRIES]} - {0}
            found += [f"+{code}{word[1:]}" for code in sorted(codes)]
    return list(dict.fromkeys(each for each in found if len(each) > 1))


def claimants(claims: Iterable[tuple[Claim, str]], configs: Mapping[str, TenantConfig]) -> Iterator[tuple[str, Found]]:
    """(tenant, what it is there) of each claim."""
    for claim, tenant in claims:
        config = configs.get(tenant)
        if config is None:
            continue
        if claim.kind == Device.KIND:
            device = device_with(config, claim.value)
            if device is not None:
                yield tenant, Found(claim.kind, device.id, device.label or device.id, "mac", claim.value)
        elif (resource := config.resources.get(claim.kind, {}).get(claim.value)) is not None:
            yield tenant, Found(claim.kind, claim.value, str(getattr(resource, "label", "")) or claim.value, "id", claim.value)
