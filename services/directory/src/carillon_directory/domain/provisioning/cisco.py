"""Cisco SPA (3xx, 5xx): names of settings are those of the maker's administrator guide."""

from xml.etree import ElementTree as Xml

from carillon_directory.domain.provisioning.forms import BOOK, File, children, offset, xml
from carillon_directory.domain.provisioning.phone import Entry, Phone


def settings(phone: Phone) -> File:
    """The phone's file."""
    root = Xml.Element("flat-profile")
    values: dict[str, object] = {}
    for line in phone.lines:
        n = line.port
        values |= {
            f"Line_Enable_{n}_": "Yes",
            f"Display_Name_{n}_": line.display_name,
            f"Short_Name_{n}_": line.label,
            f"User_ID_{n}_": line.sip_user,
            f"Auth_ID_{n}_": line.sip_user,
            f"Use_Auth_ID_{n}_": "Yes",
            f"Password_{n}_": line.password,
            f"Proxy_{n}_": line.realm,
            f"Outbound_Proxy_{n}_": f"{phone.server.host}:{phone.server.port}",
            f"Use_Outbound_Proxy_{n}_": "Yes",
            f"SIP_Transport_{n}_": phone.server.transport.upper(),
            f"Register_Expires_{n}_": 600,
            f"Default_Ring_{n}_": phone.settings.ringtone,
        }
    for key in phone.keys:
        realm = phone.lines[0].realm if phone.lines else phone.server.host
        kind = f"fnc=blf+sd+cp;sub={key.number}@{realm}" if key.kind == "busy_lamp" else f"fnc=sd;ext={key.number}@{realm}"
        values[f"Extended_Function_{key.key + len(phone.lines)}_"] = f"{kind};nme={key.label.replace(';', ' ')}"
    wanted = phone.settings
    values |= {
        "Voice_Mail_Number": phone.voicemail,
        # The phone puts the extension in place of #.
        "Attendant_Console_Call_Pickup_Code": f"{phone.pick_up}#" if phone.pick_up else "",
        "CW_Setting": "Yes" if wanted.call_waiting else "No",
        "Language_Selection": _LANGUAGES.get(phone.language[:2], "English"),
        "Time_Zone": f"GMT{offset(phone.time_zone, colon=True)}",
        "Time_Format": "24hr" if wanted.time_format == "h24" else "12hr",
        "Date_Format": "month/day" if wanted.date_format == "month_day_year" else "day/month",
        "Back_Light_Timer": _back_light(wanted.screen_timeout_seconds),
        "XML_Directory_Service_Name": "Directory",
        "XML_Directory_Service_URL": f"{phone.server.files_url}/{BOOK}",
    }
    children(root, values)
    return xml(root)


def _back_light(seconds: int) -> str:
    """The shortest of the phone's steps that is as long."""
    return next((f"{step} s" for step in (10, 20, 30) if 0 < seconds <= step), "Always On")


_LANGUAGES = {"fr": "French", "de": "German", "nl": "Dutch", "it": "Italian"}


#: Entries that a page of theirs takes.
_PAGE = 32


def whole_phone_book(entries: tuple[Entry, ...]) -> File:
    """The first page."""
    return phone_book(entries, 1, "")


def phone_book(entries: tuple[Entry, ...], page: int, files_url: str) -> File:
    """One page of the phone book, or (0, and there are several) the menu of its pages."""
    pages = [entries[start : start + _PAGE] for start in range(0, len(entries), _PAGE)] or [()]
    if page == 0 and len(pages) > 1:
        menu = Xml.Element("CiscoIPPhoneMenu")
        children(menu, {"Title": "Directory", "Prompt": "Select"})
        for number, some in enumerate(pages, 1):
            name = f"{some[0].name[:12]} - {some[-1].name[:12]}"
            children(Xml.SubElement(menu, "MenuItem"), {"Name": name, "URL": f"{files_url}/phonebook-{number}.xml"})
        return xml(menu)
    root = Xml.Element("CiscoIPPhoneDirectory")
    children(root, {"Title": "Directory", "Prompt": "Select"})
    for entry in pages[max(page, 1) - 1] if page <= len(pages) else ():
        children(Xml.SubElement(root, "DirectoryEntry"), {"Name": entry.name, "Telephone": entry.number})
    return xml(root)
