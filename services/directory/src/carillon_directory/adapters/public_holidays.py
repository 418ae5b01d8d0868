"""Public holidays of countries and regions: the data of the package `holidays`."""

from pydantic import JsonValue

from carillon_kit.errors import InvalidArgument

FIRST_YEAR, LAST_YEAR = 1950, 2100


def holidays_of(country: str, region: str, year: int, language: str) -> list[dict[str, JsonValue]]:
    """Documents of `Holiday` by date, with their names in the language where there are such, else in the country's own.

    Raises `InvalidArgument` with the field for a year, country or region that is not known.
    """
    # Takes half a second, once; few processes ever need it.
    import holidays

    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidArgument({"year": f"must be {FIRST_YEAR} to {LAST_YEAR}"})
    known = holidays.list_supported_countries(include_aliases=False)
    if country not in known:
        raise InvalidArgument({"country": f"no public holidays are known of {country!r}"})
    if region and region not in known[country]:
        raise InvalidArgument({"region": f"{country} has no region {region!r}; known are {', '.join(known[country]) or 'none'}"})
    spoken = holidays.country_holidays(country).supported_languages
    wanted = next((each for each in spoken if each.partition("_")[0] == language.partition("-")[0]), None)
    found = holidays.country_holidays(country, subdiv=region or None, years=year, language=wanted)
    return [
        {"date": day.isoformat(), "label": label, "country": country, "region": region}
        for day, label in sorted(found.items())
        if day.year == year
    ]
