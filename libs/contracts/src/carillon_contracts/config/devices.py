"""Phones, bases and adapters, and what they are set to."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.values import Departmental, Language, Name, Resource, Shape


class DeviceLine(Shape):
    """One line of a device: which credential it registers with, and so whose it is."""

    port: Annotated[int, Field(ge=1, le=1000)] = 1
    sip_credential_id: Annotated[str, StringConstraints(min_length=1)]
    label: Name = ""
    #: Of the handset of a base that has the line (ETSI EN 300 175-6); empty: whichever registers at this place.
    ipei: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{10})?$")] = ""


class Device(Departmental):
    """A phone, a base with many handsets, an adapter, a door phone; without lines it is in stock."""

    KIND: ClassVar[str] = "device"
    PLURAL: ClassVar[str] = "devices"
    type: Literal["phone", "base", "adapter", "door_phone", "softphone"] = "phone"
    label: Name = ""
    vendor: Name = ""
    model: Name = ""
    #: Twelve hexadecimal digits, lower case; unique in the installation.
    mac: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{12})?$")] = ""
    serial: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{0,64}$")] = ""
    ports: Annotated[int, Field(ge=1, le=1000)] = 1
    #: Who owns the thing: the company, the provider, a lessor.
    owner: Name = ""
    comment: str = ""
    #: Where it stands; empty: in the company's stock.
    site_id: str = ""
    provisioning_profile_id: str = ""
    lines: Annotated[tuple[DeviceLine, ...], Field(max_length=1000)] = ()

    @model_validator(mode="after")
    def _ports(self) -> Self:
        used = [line.port for line in self.lines]
        if len(set(used)) != len(used):
            raise ValueError("lines: each port may stand once")
        if max(used, default=0) > self.ports:
            raise ValueError(f"lines: the device has {self.ports} port(s)")
        handsets = [line.ipei for line in self.lines if line.ipei]
        if handsets and self.type != "base":
            raise ValueError("lines: only a base has handsets (ipei)")
        if len(set(handsets)) != len(handsets):
            raise ValueError("lines: each handset (ipei) may stand once")
        return self


class ProvisioningProfile(Resource):
    """What phones are set to when they fetch their configuration."""

    KIND: ClassVar[str] = "provisioning_profile"
    PLURAL: ClassVar[str] = "provisioning_profiles"
    display_name: str = ""
    language: Language = ""
    ringtone: Annotated[int, Field(ge=0, le=99)] = 0
    call_waiting: bool = True
    date_format: Literal["day_month_year", "month_day_year", "year_month_day"] = "day_month_year"
    time_format: Literal["h24", "h12"] = "h24"
    #: Seconds until the display goes dark; 0: never.
    screen_timeout_seconds: Annotated[int, Field(ge=0, le=86400)] = 600
    #: Asked for on the phone before its settings can be changed.
    lock_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,8}$")] = ""
