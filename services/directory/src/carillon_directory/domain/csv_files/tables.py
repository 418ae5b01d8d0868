"""The tables: which columns each has, what they are called in four languages, and which field of which resource they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from carillon_contracts.config import Contact, Device, Number, Resource, ShortCode, User
from carillon_contracts.languages import Language

#: How a cell is read: as it stands, E.164, a MAC, a whole number, a date, digits of an extension, the name or id of another resource, or
#: where calls go: a user like that, else `ring_group/sales`, `external_number/+41...`, `operator`.
Form = Literal["text", "phone", "mac", "count", "date", "extension", "user", "department", "site", "destination"]


@dataclass(frozen=True, slots=True)
class Column:
    """`field` of the resource (or `extension`, `user`: see `reading`); `names` by language, the first is the one that is written."""

    field: str
    names: Mapping[Language, tuple[str, ...]]
    form: Form = "text"
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of file. `id_from`: fields that the id is made of where the file has no column `id`."""

    kind: type[Resource]
    columns: tuple[Column, ...]
    id_from: tuple[str, ...]

    def column(self, header: str) -> Column | None:
        """By its name in any language, case and blanks aside."""
        wanted = _plain(header)
        named = (each for each in self.columns if any(wanted == _plain(name) for names in each.names.values() for name in names))
        # What a column is called in some language may be the field of another.
        return next(named, None) or next((each for each in self.columns if wanted == _plain(each.field)), None)

    def header(self, language: Language) -> list[str]:
        """The names that are written."""
        return [column.names[language][0] for column in self.columns]


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def _column(field: str, en: str, fr: str, de: str, nl: str, form: Form = "text", *, needed: bool = False) -> Column:
    names: dict[Language, tuple[str, ...]] = {
        "en": tuple(en.split("|")),
        "fr": tuple(fr.split("|")),
        "de": tuple(de.split("|")),
        "nl": tuple(nl.split("|")),
    }
    return Column(field, names, form, needed)


_ID = _column("id", "id|identifier", "id|identifiant", "id|Kennung", "id|kenmerk")
_DEPARTMENT = _column("department_id", "department", "service|département", "Abteilung", "afdeling", "department")
_SITE = _column("site_id", "site", "site", "Standort", "vestiging", "site")
_COMMENT = _column("comment", "comment", "commentaire|remarque", "Bemerkung|Kommentar", "opmerking")
_LABEL = _column("label", "label", "libellé", "Bezeichnung", "label|omschrijving")
_OWNER = _column("owner", "owner", "titulaire|propriétaire", "Inhaber|Besitzer", "eigenaar")
_EMAIL = _column("email", "e-mail|email", "e-mail|courriel", "E-Mail|Email", "e-mail")
_MOBILE = _column("mobile", "mobile", "mobile|portable", "Mobil|Handy", "mobiel", "phone")
_FIRST = _column("first_name", "first name", "prénom", "Vorname", "voornaam")
_FUNCTION = _column("function", "function|job title", "fonction", "Funktion", "functie")

TABLES: Mapping[str, Table] = {
    "users": Table(
        User,
        (
            _ID,
            _column("title", "title", "titre|civilité", "Anrede|Titel", "aanhef|titel"),
            _column("last_name", "last name|name|surname", "nom", "Nachname|Name", "achternaam|naam", needed=True),
            _FIRST,
            _FUNCTION,
            _column("extension", "extension", "extension|numéro interne", "Nebenstelle|Durchwahl", "toestel|toestelnummer", "extension"),
            _EMAIL,
            _MOBILE,
            _column("language", "language", "langue", "Sprache", "taal"),
            _column("login", "login", "identifiant de connexion|login", "Anmeldename|Login", "aanmeldnaam|login"),
            _DEPARTMENT,
            _SITE,
            _column("description", "description", "description", "Beschreibung", "beschrijving"),
        ),
        ("first_name", "last_name"),
    ),
    "numbers": Table(
        Number,
        (
            _column("id", "number", "numéro", "Nummer|Rufnummer", "nummer", "phone", needed=True),
            _LABEL,
            _column("service", "use", "usage", "Verwendung", "gebruik"),
            _column(
                "destination",
                "leads to|destination|user",
                "mène à|destination|utilisateur",
                "führt zu|Ziel|Benutzer",
                "leidt naar|bestemming|gebruiker",
                "destination",
            ),
            _OWNER,
            _column("ordered_on", "ordered on|order date", "commandé le", "bestellt am", "besteld op", "date"),
            _COMMENT,
            _DEPARTMENT,
        ),
        (),
    ),
    "contacts": Table(
        Contact,
        (
            _ID,
            _column("last_name", "last name|name|surname", "nom", "Nachname|Name", "achternaam|naam"),
            _FIRST,
            _column("company", "company", "société|entreprise", "Firma", "bedrijf"),
            _FUNCTION,
            _column("phone", "phone", "téléphone", "Telefon", "telefoon", "phone"),
            _MOBILE,
            _EMAIL,
            _column("owner_user_id", "owner", "titulaire|propriétaire", "Inhaber|Besitzer", "eigenaar", "user"),
            _column("short_number", "short number", "numéro court", "Kurznummer", "kort nummer"),
            _COMMENT,
            _DEPARTMENT,
        ),
        ("owner_user_id", "first_name", "last_name", "company"),
    ),
    "short_codes": Table(
        ShortCode,
        (
            _ID,
            _column("code", "code|short code", "code|numéro abrégé", "Kurzwahl|Code", "verkorte code|code", needed=True),
            _column("number", "number", "numéro", "Nummer|Rufnummer", "nummer", "phone", needed=True),
            _LABEL,
            _DEPARTMENT,
        ),
        ("code",),
    ),
    "devices": Table(
        Device,
        (
            _ID,
            _LABEL,
            _column("vendor", "vendor|maker", "fabricant", "Hersteller", "fabrikant"),
            _column("model", "model", "modèle", "Modell", "model"),
            _column("mac", "MAC|MAC address", "MAC|adresse MAC", "MAC|MAC-Adresse", "MAC|MAC-adres", "mac"),
            _column("serial", "serial number|serial", "numéro de série", "Seriennummer", "serienummer"),
            _column("type", "type", "type", "Art|Typ", "type|soort"),
            _column("ports", "ports", "ports", "Anschlüsse|Ports", "poorten", "count"),
            _OWNER,
            _SITE,
            _DEPARTMENT,
            _COMMENT,
        ),
        ("mac", "serial"),
    ),
}
