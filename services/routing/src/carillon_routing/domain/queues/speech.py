"""What callers hear: the queue's own announcements, and their place and wait in the call's language."""

import math
from collections.abc import Callable

from carillon_contracts.config import Announcement, Queue
from carillon_routing.domain.facts import Phrase
from carillon_routing.domain.phrases import spoken
from carillon_routing.domain.queues.decide import agents_on
from carillon_routing.domain.queues.floor import Floor

#: Beyond that nobody believes a figure.
MOST_MINUTES = 60
_POSITION = {
    "fr": "Vous êtes en position {n}.",
    "en": "You are number {n} in line.",
    "de": "Sie sind an Position {n}.",
    "nl": "U bent nummer {n} in de wachtrij.",
    "it": "Lei è in posizione {n}.",
}
_WAIT = {
    "fr": "Le temps d'attente est estimé à {n} minutes.",
    "en": "The estimated waiting time is {n} minutes.",
    "de": "Die Wartezeit beträgt etwa {n} Minuten.",
    "nl": "De geschatte wachttijd is {n} minuten.",
    "it": "Il tempo di attesa stimato è di {n} minuti.",
}
_ONE_MINUTE = {
    "fr": "Le temps d'attente est estimé à une minute.",
    "en": "The estimated waiting time is one minute.",
    "de": "Die Wartezeit beträgt etwa eine Minute.",
    "nl": "De geschatte wachttijd is één minuut.",
    "it": "Il tempo di attesa stimato è di un minuto.",
}
_CALLBACK = {
    "fr": "Vous gardez votre place. Nous vous rappellerons. Au revoir.",
    "en": "You keep your place. We will call you back. Goodbye.",
    "de": "Sie behalten Ihren Platz. Wir rufen Sie zurück. Auf Wiederhören.",
    "nl": "U behoudt uw plaats. We bellen u terug. Tot ziens.",
    "it": "Lei mantiene il suo posto. La richiameremo. Arrivederci.",
}
_OFFER = {
    "fr": "Pour garder votre place et être rappelé, tapez {n}.",
    "en": "To keep your place and be called back, press {n}.",
    "de": "Um Ihren Platz zu behalten und zurückgerufen zu werden, drücken Sie {n}.",
    "nl": "Om uw plaats te behouden en teruggebeld te worden, druk op {n}.",
    "it": "Per mantenere il suo posto ed essere richiamato, prema {n}.",
}
#: Keys that are not spoken as they are written.
_KEYS: dict[str, dict[str, str]] = {
    "*": {"fr": "étoile", "en": "star", "de": "Stern", "nl": "sterretje", "it": "asterisco"},
    "#": {"fr": "dièse", "en": "hash", "de": "Raute", "nl": "hekje", "it": "cancelletto"},
}


def offered_back(queue: Queue, language: str, tenant_language: str) -> tuple[Phrase, ...]:
    """What a caller hears who has waited so long that being called back is offered."""
    if queue.callback.offer:
        return spoken(queue.callback.offer, language, tenant_language)
    keys = _KEYS.get(queue.callback_key, {})
    return _say(_OFFER, language or tenant_language, lambda tongue: keys.get(tongue, queue.callback_key))


def called_back(language: str, tenant_language: str) -> tuple[Phrase, ...]:
    """What a caller hears who has asked to be called back."""
    return _say(_CALLBACK, language or tenant_language)


def estimated_seconds(floor: Floor, queue: Queue, position: int) -> float:
    """About how long who stands there will wait: the average talk, shared among those who are logged in."""
    return position * floor.queue(queue.id).average / max(1, agents_on(floor, queue))


def heard(
    queue: Queue, position: int, estimated: float, turn: int, language: str, tenant_language: str, *, first: bool = False
) -> tuple[Phrase, ...]:
    """What is said before the music of wait `turn` (0: the first one, with the welcome) to who stands there, for so many seconds about.

    `first`: who is told now that nobody stands before any more."""
    said = queue.announcements
    texts: list[Announcement] = list(said.welcome) if turn == 0 else []
    texts += said.first_in_line if first else ()
    if turn and said.periodic:
        texts.append(said.periodic[(turn - 1) % len(said.periodic)])
    phrases = list(spoken(tuple(texts), language, tenant_language))
    if said.position:
        phrases += _say(_POSITION, language or tenant_language, lambda tongue: position)
    if said.estimated_wait:
        minutes = min(MOST_MINUTES, math.ceil(estimated / 60))
        phrases += _say(_WAIT if minutes > 1 else _ONE_MINUTE, language or tenant_language, lambda tongue: minutes)
    return tuple(phrases)


def _say(texts: dict[str, str], languages: str, gap: Callable[[str], object] = lambda tongue: "") -> tuple[Phrase, ...]:
    """The sentence in each of the languages, in English where the system speaks none of them; `gap` fills it by language."""
    known = dict.fromkeys(language for language in languages.split(",") if language.split("-")[0] in texts) or ("en",)
    return tuple(Phrase(texts[each.split("-")[0]].format(n=gap(each.split("-")[0])), each) for each in known)
