"""What callers of conference rooms hear, and the words of a conference's e-mails."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConferencePhrases:
    """Of one language; fields in braces are filled in."""

    language: str
    unknown: str
    closed: str
    ask_password: str
    ask_creator: str
    wrong: str
    locked_out: str
    full: str
    locked: str
    kicked: str
    over: str
    recorded: str
    summary: str
    attended: str


_PHRASES: Mapping[str, ConferencePhrases] = {
    "fr": ConferencePhrases(
        "fr",
        "Cette conférence n'existe pas.",
        "Cette conférence n'est pas ouverte en ce moment.",
        "Tapez votre code, puis dièse.",
        "Pour ouvrir la conférence, tapez deux fois étoile, votre code, puis dièse. Pour participer, tapez dièse.",
        "Ce code n'est pas correct.",
        "Trop d'essais. Rappelez plus tard.",
        "La conférence est complète.",
        "La conférence est verrouillée.",
        "Vous avez été retiré de la conférence.",
        "La conférence est terminée. Au revoir.",
        "Cette conférence est enregistrée.",
        "Conférence {name} : résumé",
        "de {start} à {end} ({duration})",
    ),
    "en": ConferencePhrases(
        "en",
        "There is no such conference.",
        "This conference is not open now.",
        "Enter your code, then press hash.",
        "To open the conference, press star twice, your code, then hash. To take part, press hash.",
        "That code is not right.",
        "Too many tries. Please call again later.",
        "The conference is full.",
        "The conference is locked.",
        "You have been removed from the conference.",
        "The conference is over. Goodbye.",
        "This conference is recorded.",
        "Conference {name}: summary",
        "from {start} to {end} ({duration})",
    ),
    "de": ConferencePhrases(
        "de",
        "Diese Konferenz gibt es nicht.",
        "Diese Konferenz ist zurzeit nicht geöffnet.",
        "Geben Sie Ihren Code ein und drücken Sie Raute.",
        "Um die Konferenz zu eröffnen, drücken Sie zweimal Stern, Ihren Code und Raute. Um teilzunehmen, drücken Sie Raute.",
        "Dieser Code ist nicht richtig.",
        "Zu viele Versuche. Rufen Sie später wieder an.",
        "Die Konferenz ist voll.",
        "Die Konferenz ist gesperrt.",
        "Sie wurden aus der Konferenz entfernt.",
        "Die Konferenz ist beendet. Auf Wiederhören.",
        "Diese Konferenz wird aufgezeichnet.",
        "Konferenz {name}: Zusammenfassung",
        "von {start} bis {end} ({duration})",
    ),
    "nl": ConferencePhrases(
        "nl",
        "Deze conferentie bestaat niet.",
        "Deze conferentie is nu niet open.",
        "Toets uw code in, gevolgd door hekje.",
        "Om de conferentie te openen toetst u tweemaal sterretje, uw code en hekje. Om deel te nemen toetst u hekje.",
        "Deze code is niet juist.",
        "Te veel pogingen. Bel later terug.",
        "De conferentie is vol.",
        "De conferentie is gesloten.",
        "U bent uit de conferentie verwijderd.",
        "De conferentie is afgelopen. Tot ziens.",
        "Deze conferentie wordt opgenomen.",
        "Conferentie {name}: samenvatting",
        "van {start} tot {end} ({duration})",
    ),
    "it": ConferencePhrases(
        "it",
        "Questa conferenza non esiste.",
        "Questa conferenza non è aperta in questo momento.",
        "Digiti il suo codice, seguito da cancelletto.",
        "Per aprire la conferenza, prema due volte asterisco, il suo codice e cancelletto. Per partecipare, prema cancelletto.",
        "Questo codice non è corretto.",
        "Troppi tentativi. Richiami più tardi.",
        "La conferenza è al completo.",
        "La conferenza è bloccata.",
        "È stato rimosso dalla conferenza.",
        "La conferenza è terminata. Arrivederci.",
        "Questa conferenza viene registrata.",
        "Conferenza {name}: riepilogo",
        "dalle {start} alle {end} ({duration})",
    ),
}


def phrases_in(language: str) -> ConferencePhrases:
    """Of a BCP 47 tag; English for a language that is not here."""
    return _PHRASES.get(language.split("-")[0], _PHRASES["en"])
