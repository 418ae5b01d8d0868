"""What the log refuses, in the language of whoever brings a file; its own words are English."""

import re
from collections.abc import Mapping

from carillon_contracts.languages import Language
from carillon_directory.domain.csv_files.texts import TEXTS, told

#: What a kind of resource is called; one that is not here keeps its name.
KINDS: Mapping[str, Mapping[Language, str]] = {
    "user": {"fr": "l’utilisateur", "de": "Benutzer", "nl": "gebruiker"},
    "extension": {"fr": "l’extension", "de": "Nebenstelle", "nl": "toestel"},
    "contact": {"fr": "le contact", "de": "Kontakt", "nl": "contact"},
    "short_code": {"fr": "le numéro abrégé", "de": "Kurzwahl", "nl": "verkorte code"},
    "number": {"fr": "le numéro", "de": "Nummer", "nl": "nummer"},
    "device": {"fr": "l’appareil", "de": "Gerät", "nl": "toestel"},
    "department": {"fr": "le service", "de": "Abteilung", "nl": "afdeling"},
    "site": {"fr": "le site", "de": "Standort", "nl": "vestiging"},
    "ring_group": {"fr": "le groupe d’appel", "de": "Rufgruppe", "nl": "belgroep"},
    "queue": {"fr": "la file d’attente", "de": "Warteschlange", "nl": "wachtrij"},
    "mailbox": {"fr": "la messagerie", "de": "Mailbox", "nl": "mailbox"},
}
#: What is said -> the same by language; `{0}`, `{1}`, ... are what the groups found, of kinds as `KINDS` calls them.
_TEXTS: tuple[tuple[str, Mapping[Language, str]], ...] = (
    (
        r"(\S+) is taken by ([a-z_]+) '(.*)'",
        {"fr": "{0} est déjà pris par {1} {2}", "de": "{0} ist vergeben an {1} {2}", "nl": "{0} is al van {1} {2}"},
    ),
    (
        r"(\S+) is in use already in this installation",
        {
            "fr": "{0} est déjà utilisé dans cette installation",
            "de": "{0} ist in dieser Anlage schon vergeben",
            "nl": "{0} is in deze installatie al in gebruik",
        },
    ),
    (r"'(.*)' stands twice", {"fr": "{0} figure deux fois", "de": "{0} steht zweimal da", "nl": "{0} staat er twee keer"}),
    (r"no ([a-z_]+) '(.*)'", {"fr": "il n’y a pas {0} {1}", "de": "es gibt {0} {1} nicht", "nl": "er is geen {0} {1}"}),
    (
        r"(\S+) is not a number of this tenant",
        {
            "fr": "{0} n’est pas un numéro de l’entreprise",
            "de": "{0} ist keine Nummer des Unternehmens",
            "nl": "{0} is geen nummer van het bedrijf",
        },
    ),
    (
        r"(?:the user|user '.*') does not have the service ([a-z_]+)",
        {
            "fr": "l’utilisateur n’a pas le service {0}",
            "de": "der Benutzer hat den Dienst {0} nicht",
            "nl": "de gebruiker heeft de dienst {0} niet",
        },
    ),
    (
        r"(\S+) is a slot of parking lot '(.*)'",
        {"fr": "{0} est une place du parking {1}", "de": "{0} ist ein Platz von {1}", "nl": "{0} is een plaats van {1}"},
    ),
    (
        r"String should match pattern .*",
        {"fr": "n’a pas la forme attendue", "de": "hat nicht die erwartete Form", "nl": "heeft niet de verwachte vorm"},
    ),
    (r"(?:String should have at most|is longer than) ([0-9]+) characters?", TEXTS["too_long"]),
    (r"Input should be ('.*)", TEXTS["one_of"]),
    (
        r"Input should be less than or equal to ([0-9]+)",
        {"fr": "doit être au plus {0}", "de": "darf höchstens {0} sein", "nl": "mag hoogstens {0} zijn"},
    ),
    (
        r"Input should be greater than or equal to ([0-9]+)",
        {"fr": "doit être au moins {0}", "de": "muss mindestens {0} sein", "nl": "moet minstens {0} zijn"},
    ),
    (r"Field required", TEXTS["needed"]),
    (
        r"holds control characters",
        {"fr": "contient des caractères de commande", "de": "enthält Steuerzeichen", "nl": "bevat stuurtekens"},
    ),
    (
        r"last_name or company is needed",
        {
            "fr": "il faut un nom ou une société",
            "de": "ein Nachname oder eine Firma ist nötig",
            "nl": "een achternaam of een bedrijf is verplicht",
        },
    ),
    (
        r"short_number needs phone or mobile",
        {
            "fr": "un numéro court demande un téléphone ou un mobile",
            "de": "eine Kurznummer braucht Telefon oder Mobil",
            "nl": "een kort nummer vraagt een telefoon of een mobiel",
        },
    ),
    (
        r"lines: the device has ([0-9]+) port\(s\)",
        {
            "fr": "l’appareil a {0} port(s), et plus de lignes",
            "de": "das Gerät hat {0} Anschlüsse und mehr Leitungen",
            "nl": "het toestel heeft {0} poorten, en meer lijnen",
        },
    ),
    (
        r"([0-9]+) were bought, this would make ([0-9]+)",
        {
            "fr": "{0} ont été achetés, il y en aurait {1}",
            "de": "{0} wurden gekauft, es würden {1}",
            "nl": "er zijn er {0} gekocht, het zouden er {1} worden",
        },
    ),
    (
        r"the subscription ended on (\S+); nothing can be added",
        {
            "fr": "l’abonnement a pris fin le {0} ; rien ne peut être ajouté",
            "de": "das Abonnement endete am {0}; nichts kann dazukommen",
            "nl": "het abonnement eindigde op {0}; er kan niets bij",
        },
    ),
    (
        r"(\S+) stands for somebody who was erased",
        {
            "fr": "{0} désigne quelqu’un qui a été effacé",
            "de": "{0} steht für jemanden, der gelöscht wurde",
            "nl": "{0} staat voor iemand die gewist is",
        },
    ),
)


def in_words(reason: str, language: Language) -> str:
    """The reason in the language; one that is not known here is quoted."""
    for said, texts in _TEXTS if language != "en" else ():
        if match := re.fullmatch(said, reason):
            groups = [KINDS.get(group, {}).get(language, group) for group in match.groups()]
            return texts[language].format(*groups)
    return told("wrong", language, reason)
