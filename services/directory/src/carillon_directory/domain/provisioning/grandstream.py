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
                f"{account}.sip.outboundProxy.1.address": f"{phone.server.host}:{phone.server.port}",
                f"{account}.sip.transport": {"udp": "UDP", "tcp": "TCP", "tls": "Tls Or Tcp"}[phone.server.transport],
                f"{account}.sip.userid": line.sip_user,
                f"{account}.sip.subscriber.userid": line.sip_user,
                f"{account}.sip.subscriber.password": line.password,
                f"{account}.sip.subscriber.name": line.display_name,
                f"{account}.sip.registration": "Yes",
                f"{account}.sip.registerExpiration": "10",
                f"{account}.sip.subscribe.forMwi": "Yes",
                f"{account}.sip.voicemail.number": phone.voicemail,
                f"{account}.sip.blf.callPickup.prefix": phone.pick_up,
                f"{account}.ring.ringtone": phone.settings.ringtone,
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
            "call.callWaiting.enable": "Yes" if wanted.call_waiting else "No",
            # A key that watches a colleague sends the call there when it is pressed in one.
            "call.transfer.modeViaVpk": "BlindTransfer",
            "dateTime.timezone": phone.time_zone,
            "dateTime.format.time": "24Hour" if wanted.time_format == "h24" else "12Hour",
            "dateTime.format.date": _DATES[wanted.date_format],
            "lcd.backlight.activeTimeout": min(90, max(1, wanted.screen_timeout_seconds // 60)),
            "lcd.backlight.brightness.idle": 0 if wanted.screen_timeout_seconds else 100,
            "phonebook.download.server": phone.server.files_url.partition("://")[2],
            "phonebook.download.mode": "EnabledUseHTTPS" if phone.server.files_url.startswith("https") else "EnabledUseHTTP",
        },
    )
    return xml(root)


_DATES = {"day_month_year": "dd-mm-yyyy", "month_day_year": "mm-dd-yyyy", "year_month_day": "yyyy-mm-dd"}


def phone_book(entries: tuple[Entry, ...]) -> File:
    """The phone book as the phone reads it."""
    root = Xml.Element("AddressBook")
    for entry in entries:
        first, _, last = entry.name.rpartition(" ")
        contact = Xml.SubElement(root, "Contact")
        children(contact, {"LastName": last, "FirstName": first})
        children(Xml.SubElement(contact, "Phone"), {"phonenumber": entry.number, "accountindex": "1"})
    return xml(root)
