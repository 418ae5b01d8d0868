"""Grandstream (GXP, GRP): names of settings are those of the maker's administrator guide."""

from xml.etree import ElementTree as Xml

from carillon_directory.domain.provisioning.forms import File, children, items, xml
from carillon_directory.domain.provisioning.phone import Entry, Phone


def settings(phone: Phone) -> File:
    """The phone's file."""
    root = Xml.Element("gs_provision", {"version": "1"})
    config = Xml.SubElement(root, "config", {"version": "2"})
    for line in phone.lines:
        account = f"account.{line.port}"
        items(
            config,
            {
                f"{account}.enable": "Yes",
                f"{account}.name": line.label,
                f"{account}.sip.server.1.address": line.realm,
                f"{account}.network.outboundProxy.1.address": f"{phone.server.host}:{phone.server.port}",
                f"{account}.sip.transport": {"udp": "UDP", "tcp": "TCP", "tls": "TlsOrTcp"}[phone.server.transport],
                f"{account}.sip.userid": line.sip_user,
                f"{account}.sip.subscriber.userid": line.sip_user,
                f"{account}.sip.subscriber.password": line.password,
                f"{account}.sip.subscriber.name": line.display_name,
                f"{account}.sip.registration.expiration": "10",
                f"{account}.sip.subscribe.forMWI": "Yes",
                f"{account}.sip.voicemail.number": phone.voicemail,
                f"{account}.call.pickup.prefix": phone.pick_up,
            },
        )
    for key in phone.keys:
        name = f"pks.vpk.{key.key + len(phone.lines)}"
        mode = "BLF" if key.kind == "busy_lamp" else "SpeedDial"
        items(
            config, {f"{name}.keyMode": mode, f"{name}.value": key.number, f"{name}.description": key.label, f"{name}.account": "Account1"}
        )
    wanted = phone.settings
    items(
        config,
        {
            "language.gui": phone.language[:2],
            "callFeatures.callWaiting.enable": "Yes" if wanted.call_waiting else "No",
            "ringtone.default": wanted.ringtone,
            "dateTime.timezone": phone.time_zone,
            "dateTime.timeFormat": "24H" if wanted.time_format == "h24" else "12H",
            "dateTime.dateFormat": wanted.date_format,
            "lcd.backlight.timeout": wanted.screen_timeout_seconds // 60,
            "keypad.lock.password": wanted.lock_code,
            "phonebook.download.server": phone.server.files_url.partition("://")[2],
            "phonebook.download.mode": "EnabledUseHTTPS" if phone.server.files_url.startswith("https") else "EnabledUseHTTP",
        },
    )
    return xml(root)


def phone_book(entries: tuple[Entry, ...]) -> File:
    """The phone book as the phone reads it."""
    root = Xml.Element("AddressBook")
    for entry in entries:
        first, _, last = entry.name.rpartition(" ")
        contact = Xml.SubElement(root, "Contact")
        children(contact, {"LastName": last, "FirstName": first})
        children(Xml.SubElement(contact, "Phone"), {"phonenumber": entry.number, "accountindex": "1"})
    return xml(root)
