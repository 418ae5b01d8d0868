"""Fax boxes."""

from typing import Annotated, ClassVar

from pydantic import StringConstraints

from carillon_contracts.config.values import Departmental, Email


class FaxBox(Departmental):
    """Takes faxes and mails them."""

    KIND: ClassVar[str] = "fax_box"
    PLURAL: ClassVar[str] = "fax_boxes"
    display_name: str = ""
    #: Whose; empty: the company's.
    user_id: str = ""
    emails: tuple[Email, ...] = ()
    #: Told to the other machine (CSI and TSI of ITU-T T.30).
    station_name: Annotated[str, StringConstraints(pattern=r"^[+0-9 ]{0,20}$")] = ""
    #: Name in the header line of pages sent.
    header: Annotated[str, StringConstraints(max_length=50)] = ""
    #: Who may send by e-mail.
    senders: tuple[Email, ...] = ()
    #: Copies of what is sent.
    copies: tuple[Email, ...] = ()
