"""What the system says and writes, in the languages it knows. A language that is not here is answered in English."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language's sentences; `{...}` are filled by name."""

    language: str
    #: Spoken.
    greeting: str
    goodbye: str
    nothing_recorded: str
    unknown_mailbox: str
    #: Written.
    subject: str
    new_message: str
    mailbox: str
    received: str
    caller: str
    duration: str
    attached: str
    withheld: str
    #: Monday first.
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    date: str


_PHRASES = (
    Phrases(
        language="en",
        greeting="Nobody can take your call at the moment. Please leave a message after the tone.",
        goodbye="Thank you. Goodbye.",
        nothing_recorded="No message was recorded. Goodbye.",
        unknown_mailbox="Sorry, this mailbox is not available. Goodbye.",
        subject="New voice message from {caller} ({duration})",
        new_message="You have a new voice message.",
        mailbox="Mailbox",
        received="Received",
        caller="From",
        duration="Duration",
        attached="The message is attached as an audio file.",
        withheld="withheld number",
        weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        months=(
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ),
        date="{weekday}, {day} {month} {year} at {time}",
    ),
    Phrases(
        language="fr",
        greeting="Personne ne peut prendre votre appel pour le moment. Veuillez laisser un message après le bip sonore.",
        goodbye="Merci. Au revoir.",
        nothing_recorded="Aucun message n'a été enregistré. Au revoir.",
        unknown_mailbox="Désolé, cette messagerie n'est pas disponible. Au revoir.",
        subject="Nouveau message vocal de {caller} ({duration})",
        new_message="Vous avez un nouveau message vocal.",
        mailbox="Messagerie",
        received="Reçu",
        caller="De",
        duration="Durée",
        attached="Le message est joint en fichier audio.",
        withheld="numéro masqué",
        weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
        months=(
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ),
        date="{weekday} {day} {month} {year} à {time}",
    ),
    Phrases(
        language="de",
        greeting="Zurzeit kann niemand Ihren Anruf entgegennehmen. Bitte hinterlassen Sie nach dem Signalton eine Nachricht.",
        goodbye="Vielen Dank. Auf Wiederhören.",
        nothing_recorded="Es wurde keine Nachricht aufgezeichnet. Auf Wiederhören.",
        unknown_mailbox="Dieser Anrufbeantworter ist leider nicht verfügbar. Auf Wiederhören.",
        subject="Neue Sprachnachricht von {caller} ({duration})",
        new_message="Sie haben eine neue Sprachnachricht.",
        mailbox="Anrufbeantworter",
        received="Empfangen",
        caller="Von",
        duration="Dauer",
        attached="Die Nachricht ist als Audiodatei beigefügt.",
        withheld="unterdrückte Nummer",
        weekdays=("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
        months=("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"),
        date="{weekday}, {day}. {month} {year} um {time} Uhr",
    ),
    Phrases(
        language="nl",
        greeting="Op dit moment kan niemand uw oproep beantwoorden. Spreek na de toon een bericht in.",
        goodbye="Dank u wel. Tot ziens.",
        nothing_recorded="Er is geen bericht opgenomen. Tot ziens.",
        unknown_mailbox="Deze voicemail is helaas niet beschikbaar. Tot ziens.",
        subject="Nieuw spraakbericht van {caller} ({duration})",
        new_message="U hebt een nieuw spraakbericht.",
        mailbox="Voicemail",
        received="Ontvangen",
        caller="Van",
        duration="Duur",
        attached="Het bericht is als audiobestand bijgevoegd.",
        withheld="afgeschermd nummer",
        weekdays=("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"),
        months=(
            "januari",
            "februari",
            "maart",
            "april",
            "mei",
            "juni",
            "juli",
            "augustus",
            "september",
            "oktober",
            "november",
            "december",
        ),
        date="{weekday} {day} {month} {year} om {time}",
    ),
    Phrases(
        language="it",
        greeting="Al momento nessuno può rispondere alla chiamata. Lasciate un messaggio dopo il segnale acustico.",
        goodbye="Grazie. Arrivederci.",
        nothing_recorded="Nessun messaggio è stato registrato. Arrivederci.",
        unknown_mailbox="Siamo spiacenti, questa casella vocale non è disponibile. Arrivederci.",
        subject="Nuovo messaggio vocale da {caller} ({duration})",
        new_message="Avete un nuovo messaggio vocale.",
        mailbox="Casella vocale",
        received="Ricevuto",
        caller="Da",
        duration="Durata",
        attached="Il messaggio è allegato come file audio.",
        withheld="numero riservato",
        weekdays=("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"),
        months=(
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ),
        date="{weekday} {day} {month} {year} alle {time}",
    ),
)
PHRASES: Mapping[str, Phrases] = {phrases.language: phrases for phrases in _PHRASES}


def phrases_in(language: str) -> Phrases:
    """The sentences for a BCP 47 tag (`fr-CH` is answered in `fr`)."""
    return PHRASES.get(language.split("-")[0].lower(), PHRASES["en"])


def written_date(phrases: Phrases, at: datetime) -> str:
    """Date and time of day as the language writes them; `at` is already in the reader's zone."""
    return phrases.date.format(
        weekday=phrases.weekdays[at.weekday()], day=at.day, month=phrases.months[at.month - 1], year=at.year, time=at.strftime("%H:%M")
    )


def written_duration(duration_ms: int) -> str:
    """Minutes and seconds, `1:05`."""
    minutes, seconds = divmod(max(0, round(duration_ms / 1000)), 60)
    return f"{minutes}:{seconds:02d}"
