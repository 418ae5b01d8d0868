"""Polycom (VVX, UCS): names of settings are those of the maker's administrator guide."""

from xml.etree import ElementTree as Xml

from carillon_directory.domain.provisioning.forms import File, children, utc_offset, xml
from carillon_directory.domain.provisioning.phone import Entry, Phone


def boot(mac: str) -> File:
    """The file that phones ask for first, which names the others."""
    names = {"APP_FILE_PATH": "", "CONFIG_FILES": f"{mac}-phone.cfg", "MISC_FILES": "", "LOG_FILE_DIRECTORY": "", "OVERRIDES_DIRECTORY": ""}
    return xml(Xml.Element("APPLICATION", {**names, "CONTACTS_DIRECTORY": ""}))


def settings(phone: Phone) -> File:
    """The phone's file."""
    values: dict[str, object] = {}
    transport = {"udp": "UDPOnly", "tcp": "TCPOnly", "tls": "TLS"}[phone.server.transport]
    for line in phone.lines:
        reg = f"reg.{line.port}"
        values |= {
            f"{reg}.label": line.label,
            f"{reg}.displayName": line.display_name,
            f"{reg}.address": line.sip_user,
            f"{reg}.auth.userId": line.sip_user,
            f"{reg}.auth.password": line.password,
            f"{reg}.server.1.address": line.realm,
            f"{reg}.server.1.expires": 600,
            f"{reg}.outboundProxy.address": phone.server.host,
            f"{reg}.outboundProxy.port": phone.server.port,
            f"{reg}.outboundProxy.transport": transport,
            f"msg.mwi.{line.port}.subscribe": line.sip_user,
            f"msg.mwi.{line.port}.callBack": phone.voicemail,
        }
    for number, key in enumerate(phone.keys, 1):
        watch = f"attendant.resourceList.{number}"
        values |= {f"{watch}.address": key.number, f"{watch}.label": key.label}
        values[f"{watch}.type"] = "normal" if key.kind == "busy_lamp" else "automata"
    wanted = phone.settings
    values |= {
        "lcl.ml.lang": _LANGUAGES.get(phone.language[:2], "English_United_Kingdom"),
        "call.callWaiting.enable": int(wanted.call_waiting),
        "call.directedCallPickupMethod": "legacy",
        "call.directedCallPickupString": phone.pick_up,
        "np.normal.ringing.calls.tonePattern": f"ringer{max(1, wanted.ringtone)}",
        "tcpIpApp.sntp.gmtOffset": int(utc_offset(phone.time_zone).total_seconds()),
        "lcl.datetime.time.24HourClock": int(wanted.time_format == "h24"),
        "lcl.datetime.date.format": _DATES[wanted.date_format],
        "up.backlight.timeout": wanted.screen_timeout_seconds,
        "phoneLock.enabled": int(bool(wanted.lock_code)),
    }
    if wanted.lock_code:  # Settings of the device itself count only where they say so.
        password = "device.auth.localUserPassword"
        values |= {"device.set": 1, f"{password}.set": 1, password: wanted.lock_code}
    root = Xml.Element("polycomConfig", {name: str(value) for name, value in values.items()})
    return xml(root)


_DATES = {"day_month_year": "DD/MM/YYYY", "month_day_year": "MM/DD/YYYY", "year_month_day": "YYYY/MM/DD"}
_LANGUAGES = {"fr": "French_France", "de": "German_Germany", "nl": "Dutch_Netherlands", "it": "Italian_Italy"}


def phone_book(entries: tuple[Entry, ...]) -> File:
    """The phone book as the phone reads it."""
    root = Xml.Element("directory")
    items = Xml.SubElement(root, "item_list")
    for entry in entries:
        first, _, last = entry.name.rpartition(" ")
        children(Xml.SubElement(items, "item"), {"ln": last, "fn": first, "ct": entry.number})
    return xml(root)
