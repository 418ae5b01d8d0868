"""What the system says when something is done by code, in the languages that it speaks."""

from collections.abc import Mapping
from typing import Literal

from carillon_routing.domain.facts import Phrase

Said = Literal[
    "parked",
    "parked_page",
    "no_slot",
    "nothing_there",
    "not_allowed",
    "nobody_talks",
    "nobody_listens",
    "no_such_extension",
    "forward_on",
    "forward_off",
    "dnd_on",
    "dnd_off",
    "agent_on",
    "agent_off",
    "agent_paused",
    "not_now",
    "nobody_called",
    "barred",
    "enter_pin",
    "enter_account_code",
    "wrong_code",
    "code_blocked",
    "enter_extension",
    "phone_on",
    "phone_off",
]
_ENGLISH = "en"
_TEXTS: Mapping[Said, Mapping[str, str]] = {
    "parked": {
        "en": "Parked at {slot}.",
        "fr": "Appel parqué au {slot}.",
        "de": "Geparkt auf {slot}.",
        "nl": "Geparkeerd op {slot}.",
        "it": "Parcheggiata al {slot}.",
    },
    "parked_page": {
        "en": "There is a call for you at {slot}.",
        "fr": "Un appel vous attend au {slot}.",
        "de": "Ein Anruf wartet auf {slot}.",
        "nl": "Er wacht een gesprek op {slot}.",
        "it": "Una chiamata attende al {slot}.",
    },
    "no_slot": {
        "en": "Every parking slot is taken.",
        "fr": "Toutes les places de parcage sont occupées.",
        "de": "Alle Parkplätze sind belegt.",
        "nl": "Alle parkeerplaatsen zijn bezet.",
        "it": "Tutti i posti di parcheggio sono occupati.",
    },
    "nothing_there": {
        "en": "There is no call to take.",
        "fr": "Il n'y a pas d'appel à prendre.",
        "de": "Es ist kein Anruf da.",
        "nl": "Er is geen gesprek om over te nemen.",
        "it": "Non c'è nessuna chiamata da prendere.",
    },
    "not_allowed": {
        "en": "You may not do this.",
        "fr": "Vous n'y êtes pas autorisé.",
        "de": "Das ist Ihnen nicht erlaubt.",
        "nl": "Dit is u niet toegestaan.",
        "it": "Non le è permesso.",
    },
    "nobody_talks": {
        "en": "Nobody is talking there.",
        "fr": "Personne n'est en conversation.",
        "de": "Dort wird nicht gesprochen.",
        "nl": "Daar wordt niet gesproken.",
        "it": "Nessuno sta parlando.",
    },
    "nobody_listens": {
        "en": "No phone can be reached.",
        "fr": "Aucun téléphone n'est joignable.",
        "de": "Kein Telefon ist erreichbar.",
        "nl": "Geen enkele telefoon is bereikbaar.",
        "it": "Nessun telefono è raggiungibile.",
    },
    "no_such_extension": {
        "en": "This number does not exist.",
        "fr": "Ce numéro n'existe pas.",
        "de": "Diese Nummer gibt es nicht.",
        "nl": "Dit nummer bestaat niet.",
        "it": "Questo numero non esiste.",
    },
    "forward_on": {
        "en": "Your calls are forwarded.",
        "fr": "Vos appels sont renvoyés.",
        "de": "Ihre Anrufe werden umgeleitet.",
        "nl": "Uw oproepen worden doorgeschakeld.",
        "it": "Le sue chiamate sono deviate.",
    },
    "forward_off": {
        "en": "Your calls are not forwarded any more.",
        "fr": "Vos appels ne sont plus renvoyés.",
        "de": "Ihre Anrufe werden nicht mehr umgeleitet.",
        "nl": "Uw oproepen worden niet meer doorgeschakeld.",
        "it": "Le sue chiamate non sono più deviate.",
    },
    "dnd_on": {
        "en": "You will not be disturbed.",
        "fr": "Vous ne serez pas dérangé.",
        "de": "Sie werden nicht gestört.",
        "nl": "U wordt niet gestoord.",
        "it": "Non sarà disturbato.",
    },
    "dnd_off": {
        "en": "You can be called again.",
        "fr": "Vous êtes de nouveau joignable.",
        "de": "Sie sind wieder erreichbar.",
        "nl": "U bent weer bereikbaar.",
        "it": "È di nuovo raggiungibile.",
    },
    "agent_on": {
        "en": "You are logged in.",
        "fr": "Vous êtes en service.",
        "de": "Sie sind angemeldet.",
        "nl": "U bent aangemeld.",
        "it": "Lei è in servizio.",
    },
    "agent_off": {
        "en": "You are logged out.",
        "fr": "Vous n'êtes plus en service.",
        "de": "Sie sind abgemeldet.",
        "nl": "U bent afgemeld.",
        "it": "Lei non è più in servizio.",
    },
    "agent_paused": {
        "en": "You are on a break.",
        "fr": "Vous êtes en pause.",
        "de": "Sie machen Pause.",
        "nl": "U heeft pauze.",
        "it": "Lei è in pausa.",
    },
    "not_now": {
        "en": "This is not possible now.",
        "fr": "Ce n'est pas possible pour le moment.",
        "de": "Das geht im Moment nicht.",
        "nl": "Dat kan nu niet.",
        "it": "Ora non è possibile.",
    },
    "nobody_called": {
        "en": "There is no call to return.",
        "fr": "Il n'y a personne à rappeler.",
        "de": "Es ist niemand zurückzurufen.",
        "nl": "Er is niemand om terug te bellen.",
        "it": "Non c'è nessuno da richiamare.",
    },
    "enter_pin": {
        "en": "Please enter your PIN, then the hash key.",
        "fr": "Composez votre code secret, puis la touche dièse.",
        "de": "Bitte geben Sie Ihre PIN ein, dann die Rautetaste.",
        "nl": "Toets uw pincode in, gevolgd door een hekje.",
        "it": "Digitare il codice segreto, poi il tasto cancelletto.",
    },
    "enter_account_code": {
        "en": "Please enter the account code, then the hash key.",
        "fr": "Composez le code d'imputation, puis la touche dièse.",
        "de": "Bitte geben Sie den Kontierungscode ein, dann die Rautetaste.",
        "nl": "Toets de kostencode in, gevolgd door een hekje.",
        "it": "Digitare il codice di addebito, poi il tasto cancelletto.",
    },
    "wrong_code": {
        "en": "This code is not correct.",
        "fr": "Ce code n'est pas correct.",
        "de": "Dieser Code ist nicht richtig.",
        "nl": "Deze code is niet juist.",
        "it": "Questo codice non è corretto.",
    },
    "code_blocked": {
        "en": "There were too many wrong tries. Please ask your administrator.",
        "fr": "Il y a eu trop d'essais erronés. Adressez-vous à votre administrateur.",
        "de": "Es gab zu viele Fehlversuche. Bitte wenden Sie sich an Ihren Administrator.",
        "nl": "Er waren te veel foute pogingen. Neem contact op met uw beheerder.",
        "it": "Troppi tentativi errati. Rivolgersi all'amministratore.",
    },
    "enter_extension": {
        "en": "Please enter your extension, then the hash key.",
        "fr": "Composez votre numéro interne, puis la touche dièse.",
        "de": "Bitte geben Sie Ihre interne Nummer ein, dann die Rautetaste.",
        "nl": "Toets uw interne nummer in, gevolgd door een hekje.",
        "it": "Digitare il proprio numero interno, poi il tasto cancelletto.",
    },
    "phone_on": {
        "en": "This is your phone now.",
        "fr": "Ce téléphone est maintenant le vôtre.",
        "de": "Dieses Telefon gehört jetzt Ihnen.",
        "nl": "Deze telefoon is nu van u.",
        "it": "Questo telefono ora è il suo.",
    },
    "phone_off": {
        "en": "You have left this phone.",
        "fr": "Vous avez quitté ce téléphone.",
        "de": "Sie haben dieses Telefon abgegeben.",
        "nl": "U hebt deze telefoon verlaten.",
        "it": "Lei ha lasciato questo telefono.",
    },
    "barred": {
        "en": "You may not call this number.",
        "fr": "Vous n'êtes pas autorisé à appeler ce numéro.",
        "de": "Diese Nummer dürfen Sie nicht anrufen.",
        "nl": "U mag dit nummer niet bellen.",
        "it": "Non le è permesso chiamare questo numero.",
    },
}


def phrase(said: Said, language: str) -> Phrase:
    """In the language (BCP 47) if the system speaks it, else in English."""
    texts = _TEXTS[said]
    base = language.split("-")[0]
    return Phrase(texts[base], language) if base in texts else Phrase(texts[_ENGLISH], _ENGLISH)
