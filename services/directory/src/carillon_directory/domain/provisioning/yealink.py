"""Yealink (T4x, T5x): names of settings are those of the maker's administrator guide."""

from xml.etree import ElementTree as Xml

from carillon_directory.domain.provisioning.forms import BOOK, File, children, offset, text, xml
from carillon_directory.domain.provisioning.phone import Entry, Phone

_TRANSPORT = {"udp": 0, "tcp": 1, "tls": 2}


def settings(phone: Phone) -> File:
    """The phone's file."""
    lines = ["#!version:1.0.0.1"]
    for line in phone.lines:
        account = f"account.{line.port}"
        lines += [
            f"{account}.enable = 1",
            f"{account}.label = {line.label}",
            f"{account}.display_name = {line.display_name}",
            f"{account}.auth_name = {line.sip_user}",
            f"{account}.user_name = {line.sip_user}",
            f"{account}.password = {line.password}",
            f"{account}.sip_server.1.address = {line.realm}",
            f"{account}.sip_server.1.expires = 600",
            f"{account}.outbound_proxy_enable = 1",
            f"{account}.outbound_proxy.1.address = {phone.server.host}",
            f"{account}.outbound_proxy.1.port = {phone.server.port}",
            f"{account}.sip_server.1.transport_type = {_TRANSPORT[phone.server.transport]}",
            f"{account}.nat.rport = 1",
            f"{account}.subscribe_mwi = 1",
            f"{account}.blf.blf_list_uri =",
            f"{account}.dtmf.type = 1",
            f"voice_mail.number.{line.port} = {phone.voicemail}",
        ]
    for key in phone.keys:
        name = f"linekey.{key.key + len(phone.lines)}"
        lines += [
            f"{name}.type = {16 if key.kind == 'busy_lamp' else 13}",
            f"{name}.line = 1",
            f"{name}.value = {key.number}",
            f"{name}.label = {key.label}",
        ]
        if key.kind == "busy_lamp":
            lines.append(f"{name}.extension = {phone.pick_up + key.number if phone.pick_up else ''}")
    wanted = phone.settings
    lines += [
        f"lang.gui = {_LANGUAGES.get(phone.language[:2], 'English')}",
        f"call_waiting.enable = {int(wanted.call_waiting)}",
        f"phone_setting.ring_type = Ring{max(1, wanted.ringtone)}.wav",
        f"local_time.time_zone = {offset(phone.time_zone)}",
        f"local_time.time_format = {1 if wanted.time_format == 'h24' else 0}",
        f"local_time.date_format = {_DATES[wanted.date_format]}",
        f"phone_setting.backlight_time = {wanted.screen_timeout_seconds}",
        f"phone_setting.phone_lock.enable = {int(bool(wanted.lock_code))}",
        f"phone_setting.phone_lock.unlock_pin = {wanted.lock_code}",
        f"remote_phonebook.data.1.url = {phone.server.files_url}/{BOOK}",
        "remote_phonebook.data.1.name = Directory",
        "sip.notify_reboot_enable = 0",
    ]
    return text(lines)


_LANGUAGES = {"fr": "French", "de": "German", "nl": "Dutch", "it": "Italian", "en": "English"}
_DATES = {"day_month_year": 5, "month_day_year": 6, "year_month_day": 2}


def phone_book(entries: tuple[Entry, ...]) -> File:
    """The phone book as the phone reads it."""
    root = Xml.Element("YealinkIPPhoneDirectory")
    for entry in entries:
        children(Xml.SubElement(root, "DirectoryEntry"), {"Name": entry.name, "Telephone": entry.number})
    return xml(root)
