"""Gigaset (N610, N670, N870 bases): names of settings are those of the maker's wiki on provisioning."""

from xml.etree import ElementTree as Xml

from carillon_directory.domain.provisioning.forms import File, xml
from carillon_directory.domain.provisioning.phone import Phone

#: As the base counts them.
_TRANSPORT = {"udp": 1, "tcp": 2, "tls": 3}


def base(phone: Phone) -> File:
    """The base's file: handsets are known by their IPUI, or else by their place. What they show, and how they ring, is set on them."""
    root = Xml.Element("provisioning", {"version": "1.1", "productID": "e2"})
    nvm = Xml.SubElement(root, "nvm")
    values: dict[str, object] = {
        "DmGlobal.0.TimeZone": phone.time_zone,
        "SipProvider.0.Name": "PBX",
        "SipProvider.0.Domain": phone.lines[0].realm if phone.lines else "",
        "SipProvider.0.OutboundProxyMode": 0,
        "SipProvider.0.OutboundProxyAddress": phone.server.host,
        "SipProvider.0.OutboundProxyPort": phone.server.port,
        "SipProvider.0.TransportProtocol": _TRANSPORT[phone.server.transport],
        "SipProvider.0.RegServerRefreshTimer": 600,
        "SipProvider.0.DnsQuery": 0,
        "SipProvider.0.FailoverServerEnabled": 0,
        "SipProvider.0.MWISubscription": 1,
    }
    Xml.SubElement(nvm, "oper", {"name": "DeleteNotProvisionedHS"})
    for line in phone.lines:
        handset = line.ipei or f"{line.port:05d}"
        added = Xml.SubElement(nvm, "oper", {"name": "add_hs", "value": handset})
        Xml.SubElement(added, "param", {"name": "hs.RegStatus", "value": "ToReg"})
        account = f"SipAccount.{handset}"
        values |= {
            f"{account}.AuthName": line.sip_user,
            f"{account}.AuthPassword": line.password,
            f"{account}.UserName": line.sip_user,
            f"{account}.DisplayName": line.display_name,
            f"{account}.ProviderId": 0,
            f"{account}.VoiceMailMailbox": phone.voicemail,
            f"{account}.VoiceMailActive": int(bool(phone.voicemail)),
        }
        if phone.settings.lock_code:
            values[f"hs.{handset}.DECT_AC"] = phone.settings.lock_code
    for name, value in values.items():
        Xml.SubElement(nvm, "param", {"name": name, "value": str(value)})
    return xml(root)
