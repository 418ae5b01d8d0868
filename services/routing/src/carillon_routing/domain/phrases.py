"""Which announcements are spoken: when several languages say the same, only the call's language once it is known."""

from collections.abc import Callable, Iterable, Sequence

from carillon_contracts.config import Announcement
from carillon_routing.domain.facts import Phrase


def spoken(announcements: Sequence[Announcement], call_language: str, tenant_language: str) -> tuple[Phrase, ...]:
    """The phrases in order. No language chosen, or none of them in it: all, each in its own (a bilingual greeting).

    An announcement without a language is in the tenant's. `fr` does for a call in `fr-CH`, and the other way round.
    """
    phrases = tuple(Phrase(one.text, one.language or tenant_language, one.audio_id) for one in announcements)
    if not call_language:
        return phrases
    chosen: list[Phrase] = []
    for language in call_language.split(","):
        chosen += _in(phrases, lambda spoken, wanted=language: spoken == wanted) or _same_base(phrases, language)  # type: ignore[misc]
    return tuple(chosen) or phrases


def _same_base(phrases: Iterable[Phrase], call_language: str) -> tuple[Phrase, ...]:
    base = call_language.split("-")[0]
    return _in(phrases, lambda language: language.split("-")[0] == base)


def _in(phrases: Iterable[Phrase], accept: Callable[[str], bool]) -> tuple[Phrase, ...]:
    return tuple(phrase for phrase in phrases if accept(phrase.language))
