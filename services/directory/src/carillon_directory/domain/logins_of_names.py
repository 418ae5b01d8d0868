"""A user's login is made of the name when none is given: `denise.dumas`, and a number behind it if that is taken."""

import re
import unicodedata
from itertools import count

from carillon_contracts.config import User
from carillon_directory.domain.commands import Document
from carillon_directory.domain.index import Index

_LONGEST = 90


def with_login(index: Index, kind: str, document: Document) -> Document:
    """The document of a new user with a login; any other as it is."""
    if kind != User.KIND or document.get("login") or not isinstance(document.get("last_name"), str):
        return document
    name = login_of(str(document.get("first_name") or ""), str(document["last_name"]))
    if not name:
        return document
    logins = (name if number == 1 else f"{name}{number}" for number in count(1))
    free = next(login for login in logins if next(index.takers("login", login), None) is None)
    return {**document, "login": free}


def login_of(first_name: str, last_name: str) -> str:
    """Both names in plain lower-case letters and digits with a dot between; empty if nothing is left of them."""
    return ".".join(part for part in (_plain(first_name), _plain(last_name)) if part)[:_LONGEST]


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ø", "o").replace("æ", "ae").lower())
    return re.sub(r"[^a-z0-9]+", "", letters)
