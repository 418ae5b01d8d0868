"""Calls for help, and what those are told who must know: who called from where."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from carillon_contracts.audit import EmergencyCalled
from carillon_contracts.config import Department, EmergencyRecipient, Site
from carillon_contracts.feature_codes import recognise
from carillon_contracts.inherited import site_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.departments import departments_of
from carillon_routing.domain.dialling import ToEmergency, dialled_by_user
from carillon_routing.domain.facts import CallFacts
from carillon_routing.domain.identity import for_help

#: Instead of a number that is not shown, as `EmergencyCalled.connects` says it.
WITHHELD = "withheld"
#: Of one letter.
MAX_RECIPIENTS = 100
#: That are called for one call for help.
MAX_PHONES = 20
_SUBJECTS = {
    "en": "Emergency call to {number} by {name}",
    "fr": "Appel d'urgence au {number} par {name}",
    "de": "Notruf an {number} von {name}",
    "nl": "Noodoproep naar {number} door {name}",
    "it": "Chiamata d'emergenza al {number} da parte di {name}",
}
_LABELS = {
    "en": ("Called", "Caller", "Extension", "Number for calling back", "Site", "Address", "Department", "Time", "Connected for", "unknown"),
    "fr": ("Appelé", "Appelant", "Numéro interne", "Numéro de rappel", "Site", "Adresse", "Service", "Heure", "Mis en relation", "inconnu"),
    "de": (
        "Angerufen",
        "Anrufer",
        "Nebenstelle",
        "Nummer für Rückrufe",
        "Standort",
        "Adresse",
        "Abteilung",
        "Zeit",
        "Verbunden wird",
        "unbekannt",
    ),
    "nl": (
        "Gebeld",
        "Beller",
        "Toestel",
        "Nummer om terug te bellen",
        "Vestiging",
        "Adres",
        "Afdeling",
        "Tijd",
        "Doorverbonden",
        "onbekend",
    ),
    "it": ("Chiamato", "Chiamante", "Interno", "Numero da richiamare", "Sede", "Indirizzo", "Reparto", "Ora", "Collegato", "sconosciuto"),
}
#: What phones are told; parts that say nothing are left out.
_SPOKEN = {
    "en": ("Emergency call. {name} has called {number}", "at {time}", "extension {extension}", "for {connects}", "site {site}",
           "{address}", "call back {callback}"),
    "fr": ("Appel d'urgence. {name} a appelé le {number}", "à {time}", "numéro interne {extension}", "pour {connects}",
           "site {site}", "{address}", "à rappeler au {callback}"),
    "de": ("Notruf. {name} hat {number} angerufen", "um {time}", "Nebenstelle {extension}", "für {connects}", "Standort {site}",
           "{address}", "Rückruf an {callback}"),
    "nl": ("Noodoproep. {name} heeft {number} gebeld", "om {time}", "toestel {extension}", "voor {connects}",
           "vestiging {site}", "{address}", "terugbellen naar {callback}"),
    "it": ("Chiamata d'emergenza. {name} ha chiamato il {number}", "alle {time}", "interno {extension}", "per {connects}",
           "sede {site}", "{address}", "da richiamare al {callback}"),
}  # fmt: skip
_NAMES = re.compile(r"\{(\w+)\}")
#: In place of the number of who is connected.
_WITHHELD = {
    "en": "a withheld number",
    "fr": "un numéro masqué",
    "de": "eine unterdrückte Nummer",
    "nl": "een onderdrukt nummer",
    "it": "un numero nascosto",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A phone, and what it is told."""

    phone: str
    words: str
    language: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What became known, and the letter about it; nobody to write to: `recipients` is empty."""

    event: EmergencyCalled
    recipients: tuple[str, ...]
    subject: str
    text: str
    language: str
    phones: tuple[Told, ...] = ()


def emergency_number(config: TenantConfig, dialled: str, user_id: str) -> str:
    """The emergency number that the user means who dials this, also with the code that withholds a number; empty: none."""
    found = dialled_by_user(config, dialled, user_id)
    if not isinstance(found, ToEmergency):
        coded = recognise(config, dialled)
        if coded is None or coded.feature != "withhold":
            return ""
        found = dialled_by_user(config, coded.argument, user_id)
    return found.number if isinstance(found, ToEmergency) else ""


def notice(config: TenantConfig, call: CallFacts, at: datetime, connects: str = "") -> Notice | None:
    """Of a call that began, or was sent there, at `at`; None: it was not for help. `connects`: see `EmergencyCalled`."""
    user = config.users.get(call.caller_user_id) if call.direction == "from_user" else None
    number = emergency_number(config, call.dialled, user.id) if user is not None else ""
    if user is None or not number:
        return None
    departments, site = departments_of(config, user), site_of(config, user)
    told = [each for each in config.all(EmergencyRecipient).values() if _concerns(each, departments, site)]
    recipients = tuple(dict.fromkeys(email for each in told for email in each.emails))[:MAX_RECIPIENTS]
    languages = {phone: each.language or config.tenant.language for each in reversed(told) for phone in each.phones}
    department = departments[0] if departments else None
    event = EmergencyCalled(
        call_id=call.call_id,
        number=number,
        user_id=user.id,
        user_name=user.full_name,
        extension=config.extension_of(user.id),
        callback_number=for_help(config, call)[0],
        site_id=site.id if site is not None else "",
        address=site.address if site is not None else "",
        department_id=department.id if department is not None else "",
        recipients=recipients,
        phones=tuple(sorted(languages)[:MAX_PHONES]),
        connects=connects,
    )
    base = config.tenant.language.split("-")[0]
    language = base if base in _SUBJECTS else "en"
    place = (site.display_name or site.id) if site is not None else ""
    part = (department.display_name or department.id) if department is not None else ""
    subject = _SUBJECTS[language].format(number=number, name=user.full_name)
    phones = tuple(Told(phone, _words(event, place, at, config, languages[phone]), _spoken(languages[phone])) for phone in event.phones)
    return Notice(event, recipients, subject, _text(event, place, part, at, config, language), language, phones)


def _spoken(language: str) -> str:
    return language if language.split("-")[0] in _SPOKEN else "en"


def _words(event: EmergencyCalled, site: str, at: datetime, config: TenantConfig, language: str) -> str:
    """As it is spoken: numbers digit by digit."""
    values = {
        "name": event.user_name,
        "number": _digits(event.number),
        "time": f"{at.astimezone(ZoneInfo(config.tenant.time_zone)):%H:%M}",
        "extension": _digits(event.extension),
        "connects": _connected(event, _spoken(language), _digits),
        "site": site,
        "address": event.address,
        "callback": _digits(event.callback_number),
    }
    parts = (part for part in _SPOKEN[_spoken(language).split("-")[0]] if all(values[name] for name in _NAMES.findall(part)))
    return ", ".join(part.format(**values) for part in parts) + "."


def _connected(event: EmergencyCalled, language: str, written: Callable[[str], str] = str) -> str:
    """Who is connected in the user's place; a number as it is `written`."""
    if event.connects == WITHHELD:
        return _WITHHELD[language.split("-")[0]]
    return written(event.connects) if event.connects.strip("+").isdecimal() else event.connects


def _digits(number: str) -> str:
    return " ".join(number)


def _text(event: EmergencyCalled, site: str, department: str, at: datetime, config: TenantConfig, language: str) -> str:
    *labels, connects, unknown = _LABELS[language]
    moment = f"{at.astimezone(ZoneInfo(config.tenant.time_zone)):%Y-%m-%d %H:%M:%S} {config.tenant.time_zone}"
    callback = event.callback_number
    values = (event.number, event.user_name, event.extension, callback, site, event.address, department, moment)
    text = "".join(f"{label}: {value or unknown}\n" for label, value in zip(labels, values, strict=True))
    return text + (f"{connects}: {_connected(event, language)}\n" if event.connects else "")


def _concerns(recipient: EmergencyRecipient, departments: tuple[Department, ...], site: Site | None) -> bool:
    inside = not recipient.department_id or recipient.department_id in (each.id for each in departments)
    return inside and (not recipient.site_id or (site is not None and site.id == recipient.site_id))
