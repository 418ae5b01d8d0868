"""What who records an announcement by phone hears."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordingPhrases:
    """Of one language."""

    #: What is to be done, before the tone.
    speak: str
    #: What the digits do, after the recording was heard.
    choose: str
    #: Nothing was said.
    nothing: str
    kept: str
    not_kept: str


PHRASES: Mapping[str, RecordingPhrases] = {
    "fr": RecordingPhrases(
        "Enregistrez votre annonce après le signal sonore, puis tapez dièse.",
        "Pour garder cet enregistrement, tapez 1. Pour le réécouter, tapez 2. Pour recommencer, tapez 3.",
        "Je n'ai rien entendu.",
        "Votre enregistrement est gardé. Au revoir.",
        "Votre enregistrement n'est pas gardé. Au revoir.",
    ),
    "en": RecordingPhrases(
        "Record your announcement after the tone, then press hash.",
        "To keep this recording, press 1. To hear it again, press 2. To record it anew, press 3.",
        "I have heard nothing.",
        "Your recording is kept. Goodbye.",
        "Your recording is not kept. Goodbye.",
    ),
    "de": RecordingPhrases(
        "Sprechen Sie Ihre Ansage nach dem Signalton, und drücken Sie dann die Raute-Taste.",
        "Um diese Aufnahme zu behalten, drücken Sie die 1. Um sie noch einmal zu hören, die 2. Um sie neu aufzunehmen, die 3.",
        "Ich habe nichts gehört.",
        "Ihre Aufnahme ist gespeichert. Auf Wiederhören.",
        "Ihre Aufnahme ist nicht gespeichert. Auf Wiederhören.",
    ),
    "nl": RecordingPhrases(
        "Spreek uw boodschap in na de toon en druk daarna op het hekje.",
        "Druk op 1 om deze opname te bewaren, op 2 om ze opnieuw te horen, op 3 om opnieuw op te nemen.",
        "Ik heb niets gehoord.",
        "Uw opname is bewaard. Tot ziens.",
        "Uw opname is niet bewaard. Tot ziens.",
    ),
    "it": RecordingPhrases(
        "Registrate il vostro annuncio dopo il segnale acustico, poi premete cancelletto.",
        "Per conservare questa registrazione premete 1. Per riascoltarla premete 2. Per registrarla di nuovo premete 3.",
        "Non ho sentito niente.",
        "La vostra registrazione è conservata. Arrivederci.",
        "La vostra registrazione non è conservata. Arrivederci.",
    ),
}


def phrases_of(language: str) -> tuple[str, RecordingPhrases]:
    """The language that is spoken, and its words; English where there are none."""
    if language.split("-")[0] in PHRASES:
        return language, PHRASES[language.split("-")[0]]
    return "en", PHRASES["en"]
