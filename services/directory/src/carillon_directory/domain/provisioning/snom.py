"""Snom (D7xx, D8xx; M-series bases): names of settings are those of the maker's administrator guides."""

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
        "enable_backlight_dimming": "on" if phone.settings.screen_timeout_seconds else "off",
        "dim_timer": phone.settings.screen_timeout_seconds,
        "backlight_idle": 0,
        "keyboard_lock_pw": phone.settings.lock_code,
        "dkey_directory": f"url {phone.server.files_url}/{BOOK}",
        "enable_keyboard_lock": "on" if phone.settings.lock_code else "off",
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


def base(phone: Phone) -> File:
    """The base's file: place N has line N. What is shown on the handsets' screens, and how they ring, is set on them."""
    root = Xml.Element("settings")
    shared = Xml.SubElement(root, "global")
    language = _LANGUAGES.get(phone.language[:2], "English")
    values: dict[str, object] = {"language": language, "timezone": _snom_zone(phone.time_zone), "timezone_by_country_region": "off"}
    if phone.settings.lock_code:
        values["ac_code"] = phone.settings.lock_code
    children(shared, values | {"auto_dect_register": "on", "sip_check_sync_always_reboot": "off"})
    server = Xml.SubElement(root, "server")
    of_server = {
        "srv_sip_server_alias": "PBX",
        "user_host": phone.lines[0].realm if phone.lines else "",
        "user_outbound": f"{phone.server.host}:{phone.server.port}",
        "srv_sip_transport": phone.server.transport,
        "user_expiry": 600,
    }
    children(server, of_server, idx="1")
    extensions = Xml.SubElement(root, "extension")
    for line in phone.lines:
        of_line = {
            "user_active": "on",
            "user_realname": line.display_name,
            "user_name": line.sip_user,
            "user_pname": line.sip_user,
            "user_pass": line.password,
            "user_mailnumber": phone.voicemail,
            "call_waiting": "on" if phone.settings.call_waiting else "off",
            "subscr_sip_hs_idx": line.port,
            "subscr_sip_line_name": line.label,
            "subscr_sip_ua_data_server_id": 1,
            "subscr_dect_ipui": f"0x{line.ipei.upper() or 'F' * 10}",
        }
        children(extensions, of_line, idx=str(line.port))
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
