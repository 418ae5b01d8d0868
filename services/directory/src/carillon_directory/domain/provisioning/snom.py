"""Snom (D7xx): names of settings are those of the maker's administrator guide."""

from xml.etree import ElementTree as Xml

from carillon_directory.domain.provisioning.forms import BOOK, File, children, offset, xml
from carillon_directory.domain.provisioning.phone import Entry, Phone


def settings(phone: Phone) -> File:
    """The phone's file."""
    root = Xml.Element("settings")
    wanted = Xml.SubElement(root, "phone-settings")

    def put(name: str, value: object, idx: int | None = None) -> None:
        made = Xml.SubElement(wanted, name, {"perm": "RW"} if idx is None else {"idx": str(idx), "perm": "RW"})
        made.text = str(value)

    proxy = f"{phone.server.host}:{phone.server.port};transport={phone.server.transport}"
    for line in phone.lines:
        values = {
            "user_active": "on",
            "user_realname": line.display_name,
            "user_idle_text": line.label,
            "user_name": line.sip_user,
            "user_pname": line.sip_user,
            "user_pass": line.password,
            "user_host": line.realm,
            "user_outbound": proxy,
            "user_expiry": 600,
            "user_mailbox": phone.voicemail,
            "user_ringer": f"Ringer{max(1, phone.settings.ringtone)}",
        }
        for name, value in values.items():
            put(name, value, line.port)
    language = _LANGUAGES.get(phone.language[:2], "English")
    for name, value in {
        "language": language,
        "call_waiting": "on" if phone.settings.call_waiting else "off",
        "timezone": _snom_zone(phone.time_zone),
        "time_24_format": "on" if phone.settings.time_format == "h24" else "off",
        "date_us_format": "on" if phone.settings.date_format == "month_day_year" else "off",
        "display_timeout": phone.settings.screen_timeout_seconds,
        "keyboard_lock_pw": phone.settings.lock_code,
        "dkey_directory": f"url {phone.server.files_url}/{BOOK}",
        "keyboard_lock": "on" if phone.settings.lock_code else "off",
    }.items():
        put(name, value)
    keys = Xml.SubElement(root, "functionKeys")
    for key in phone.keys:
        made = Xml.SubElement(keys, "fkey", {"idx": str(key.key - 1), "context": "1", "label": key.label, "perm": "RW"})
        realm = phone.lines[0].realm if phone.lines else phone.server.host
        busy = f"blf <sip:{key.number}@{realm}>" + (f"|{phone.pick_up}" if phone.pick_up else "")
        made.text = busy if key.kind == "busy_lamp" else f"speed {key.number}"
    return xml(root)


_LANGUAGES = {"fr": "Francais", "de": "Deutsch", "nl": "Nederlands", "it": "Italiano", "en": "English"}


def phone_book(entries: tuple[Entry, ...]) -> File:
    """The phone book as the phone reads it."""
    root = Xml.Element("SnomIPPhoneDirectory")
    Xml.SubElement(root, "Title").text = "Directory"
    for entry in entries:
        children(Xml.SubElement(root, "DirectoryEntry"), {"Name": entry.name, "Telephone": entry.number})
    return xml(root)


def _snom_zone(zone: str) -> str:
    """Snom's names of zones: country and offset; by the offset alone where the country is not known."""
    known = {
        "Europe/Zurich": "CHE+1",
        "Europe/Paris": "FRA+1",
        "Europe/Berlin": "GER+1",
        "Europe/Brussels": "BEL+1",
        "Europe/Amsterdam": "NLD+1",
    }
    known |= {"Europe/Rome": "ITA+1", "Europe/Vienna": "AUT+1", "Europe/Luxembourg": "LUX+1", "Europe/London": "GBR-0"}
    return known.get(zone, f"GMT{offset(zone)}")
