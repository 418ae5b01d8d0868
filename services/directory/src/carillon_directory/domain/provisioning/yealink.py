"""Yealink (T4x, T5x; W6x, W7x, W8x bases): names of settings are those of the maker's administrator guides."""

from collections.abc import Iterator
from xml.etree import ElementTree as Xml

from carillon_directory.domain.provisioning.forms import BOOK, File, children, offset, text, xml
from carillon_directory.domain.provisioning.phone import Entry, Phone

_TRANSPORT = {"udp": 0, "tcp": 1, "tls": 2}


def settings(phone: Phone) -> File:
    """The phone's file."""
    lines = ["#!version:1.0.0.1", *_accounts(phone)]
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
        f"phone_setting.ring_type = Ring{max(1, wanted.ringtone)}.wav",
        f"local_time.time_format = {int(wanted.time_format == 'h24')}",
        f"local_time.date_format = {_DATES[wanted.date_format]}",
        # A key that watches a colleague sends the call there when it is pressed in one.
        "transfer.dsskey_deal_type = 2",
        f"phone_setting.backlight_time = {wanted.screen_timeout_seconds}",
        f"phone_setting.phone_lock.enable = {int(bool(wanted.lock_code))}",
        f"phone_setting.phone_lock.unlock_pin = {wanted.lock_code}",
        *_common(phone),
    ]
    return text(lines)


def base(phone: Phone) -> File:
    """The base's file: handset N has line N. The maker binds no handset by its IPEI, and keeps ringtones and locks on the handsets."""
    wanted = phone.settings
    lines = ["#!version:1.0.0.1", *_accounts(phone)]
    for line in phone.lines:
        handset = f"handset.{line.port}"
        lines += [f"{handset}.name = {line.display_name}", f"{handset}.incoming_lines = {line.port}"]
        lines += [f"{handset}.dial_out_lines = {line.port}", f"{handset}.dial_out_default_line = {line.port}"]
    lines += [
        "auto_provision.handset_configured.enable = 1",
        "static.auto_provision.handset_configured.enable = 1",
        f"custom.handset.language = {_HANDSET_LANGUAGES.get(phone.language[:2], 0)}",
        f"custom.handset.time_format = {int(wanted.time_format == 'h24')}",
        f"custom.handset.date_format = {_DATES[wanted.date_format]}",
        f"custom.handset.backlight_in_charger.enable = {int(not wanted.screen_timeout_seconds)}",
        "features.remote_phonebook.enable = 1",
        *_common(phone),
    ]
    return text(lines)


def _accounts(phone: Phone) -> Iterator[str]:
    for line in phone.lines:
        account = f"account.{line.port}"
        yield from (
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
        )


def _common(phone: Phone) -> Iterator[str]:
    yield from (
        f"call_waiting.enable = {int(phone.settings.call_waiting)}",
        f"local_time.time_zone = {offset(phone.time_zone)}",
        "local_time.summer_time = 2",
        f"remote_phonebook.data.1.url = {phone.server.files_url}/{BOOK}",
        "remote_phonebook.data.1.name = Directory",
        "sip.notify_reboot_enable = 0",
    )


_LANGUAGES = {"fr": "French", "de": "German", "nl": "Dutch", "it": "Italian", "en": "English"}
#: As handsets count them.
_HANDSET_LANGUAGES = {"en": 0, "fr": 1, "de": 2, "it": 3}
#: DD/MM/YYYY, MM/DD/YY, YYYY-MM-DD.
_DATES = {"day_month_year": 3, "month_day_year": 4, "year_month_day": 2}


def phone_book(entries: tuple[Entry, ...]) -> File:
    """The phone book as the phone reads it."""
    root = Xml.Element("YealinkIPPhoneDirectory")
    for entry in entries:
        children(Xml.SubElement(root, "DirectoryEntry"), {"Name": entry.name, "Telephone": entry.number})
    return xml(root)
