"""What a code needs that another service knows or does: a change of the user's own settings, and who called last."""

from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """Change a user's own settings in the user's name. `document`: the fields of `carillon.directory.v1.User`; a path that it does not
    hold goes back to its default. The same change twice is one. Answer: whether it is done."""

    user_id: str
    document: tuple[tuple[str, JsonValue], ...]
    paths: tuple[str, ...]
    #: Why, for the history: the code that was dialled.
    reason: str

    @property
    def key(self) -> str:
        """`change anna *21*079...`"""
        return f"change {self.user_id} {self.reason}"


@dataclass(frozen=True, slots=True)
class LastCaller:
    """Whose call rang last at a phone of the user, but for the user's own calls.

    Answer: number as dialled inside, or E.164; empty: nobody's, or a withheld one."""

    user_id: str

    @property
    def key(self) -> str:
        """`last caller anna`"""
        return f"last caller {self.user_id}"


FeatureAsk = ChangeUser | LastCaller
