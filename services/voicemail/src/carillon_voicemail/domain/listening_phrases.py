"""What is spoken to who listens to messages, in the languages the system knows. A language that is not here is answered in English."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListeningPhrases:
    """One language's sentences. Of the counts: `you_have`, the number, `new_messages`; the number, `old_messages`."""

    you_have: str
    new_messages: str
    one_new: str
    no_new: str
    old_messages: str
    one_old: str
    listen: str
    main: str
    ask_box: str
    ask_pin: str
    wrong: str
    locked: str
    received: str
    from_: str
    withheld: str
    menu: str
    saved: str
    deleted: str
    restored: str
    none_after: str
    none_before: str
    gone: str
    not_returned: str
    greeting_menu: str
    speak: str
    nothing: str
    keep: str
    greeting_kept: str
    greeting_usual: str
    new_pin: str
    pin_again: str
    pin_differs: str
    pin_rule: str
    pin_kept: str
    not_now: str


PHRASES: Mapping[str, ListeningPhrases] = {
    "en": ListeningPhrases(
        you_have="You have",
        new_messages="new messages.",
        one_new="You have one new message.",
        no_new="You have no new messages.",
        old_messages="old messages.",
        one_old="One old message.",
        listen="To listen to your messages, press 1.",
        main="To change your greeting, press 2. To change your PIN, press 3. To end, press star.",
        ask_box="Please enter the extension of the mailbox, then the hash key.",
        ask_pin="Please enter your PIN, then the hash key.",
        wrong="This code is not correct.",
        locked="Too many tries. Please call again later.",
        received="Received",
        from_="from",
        withheld="a withheld number",
        menu="To hear it again, press 1. To save it, press 2. To delete it, press 3. For the one before, press 4."
        " To call back, press 5. For the next one, press 6. For the main menu, press 0.",
        saved="The message is saved.",
        deleted="The message is deleted. To take it back, press 3.",
        restored="The message is kept.",
        none_after="There are no more messages.",
        none_before="There is no message before this one.",
        gone="This message is not there any more.",
        not_returned="This call cannot be returned.",
        greeting_menu="To record your greeting, press 1. For the usual greeting, press 2. For the main menu, press 0.",
        speak="Speak after the tone, then press hash.",
        nothing="I have heard nothing.",
        keep="To keep this recording, press 1. To hear it again, press 2. To record it anew, press 3.",
        greeting_kept="This is your greeting now.",
        greeting_usual="The usual greeting is played now.",
        new_pin="Please enter your new PIN, then the hash key.",
        pin_again="Please enter it once more, then the hash key.",
        pin_differs="These were not the same.",
        pin_rule="A PIN has 4 to 12 digits.",
        pin_kept="Your PIN is changed.",
        not_now="This is not possible now.",
    ),
    "fr": ListeningPhrases(
        you_have="Vous avez",
        new_messages="nouveaux messages.",
        one_new="Vous avez un nouveau message.",
        no_new="Vous n'avez pas de nouveau message.",
        old_messages="anciens messages.",
        one_old="Un ancien message.",
        listen="Pour écouter vos messages, tapez 1.",
        main="Pour changer votre annonce, tapez 2. Pour changer votre code, tapez 3. Pour terminer, tapez étoile.",
        ask_box="Composez le numéro interne de la messagerie, puis la touche dièse.",
        ask_pin="Composez votre code personnel, puis la touche dièse.",
        wrong="Ce code n'est pas correct.",
        locked="Trop d'essais. Veuillez rappeler plus tard.",
        received="Reçu",
        from_="de",
        withheld="un numéro masqué",
        menu="Pour le réécouter, tapez 1. Pour le conserver, tapez 2. Pour l'effacer, tapez 3. Pour le précédent, tapez 4."
        " Pour rappeler, tapez 5. Pour le suivant, tapez 6. Pour le menu principal, tapez 0.",
        saved="Le message est conservé.",
        deleted="Le message est effacé. Pour le reprendre, tapez 3.",
        restored="Le message est gardé.",
        none_after="Il n'y a plus de message.",
        none_before="Il n'y a pas de message avant celui-ci.",
        gone="Ce message n'existe plus.",
        not_returned="Cet appel ne peut pas être rendu.",
        greeting_menu="Pour enregistrer votre annonce, tapez 1. Pour l'annonce habituelle, tapez 2. Pour le menu principal, tapez 0.",
        speak="Parlez après le bip, puis tapez dièse.",
        nothing="Je n'ai rien entendu.",
        keep="Pour garder cet enregistrement, tapez 1. Pour le réécouter, tapez 2. Pour recommencer, tapez 3.",
        greeting_kept="C'est maintenant votre annonce.",
        greeting_usual="L'annonce habituelle est maintenant diffusée.",
        new_pin="Composez votre nouveau code, puis la touche dièse.",
        pin_again="Composez-le encore une fois, puis la touche dièse.",
        pin_differs="Les deux n'étaient pas identiques.",
        pin_rule="Un code a de 4 à 12 chiffres.",
        pin_kept="Votre code est changé.",
        not_now="Ce n'est pas possible maintenant.",
    ),
    "de": ListeningPhrases(
        you_have="Sie haben",
        new_messages="neue Nachrichten.",
        one_new="Sie haben eine neue Nachricht.",
        no_new="Sie haben keine neuen Nachrichten.",
        old_messages="alte Nachrichten.",
        one_old="Eine alte Nachricht.",
        listen="Um Ihre Nachrichten zu hören, drücken Sie die 1.",
        main="Um Ihre Begrüssung zu ändern, drücken Sie die 2. Um Ihre PIN zu ändern, drücken Sie die 3. Zum Beenden drücken Sie Stern.",
        ask_box="Geben Sie die Nebenstelle des Anrufbeantworters ein, dann die Raute-Taste.",
        ask_pin="Geben Sie Ihre PIN ein, dann die Raute-Taste.",
        wrong="Dieser Code ist nicht richtig.",
        locked="Zu viele Versuche. Bitte rufen Sie später wieder an.",
        received="Empfangen",
        from_="von",
        withheld="einer unterdrückten Nummer",
        menu="Um sie nochmals zu hören, drücken Sie die 1. Zum Speichern die 2. Zum Löschen die 3. Für die vorige die 4."
        " Zum Zurückrufen die 5. Für die nächste die 6. Für das Hauptmenü die 0.",
        saved="Die Nachricht ist gespeichert.",
        deleted="Die Nachricht ist gelöscht. Um sie zurückzuholen, drücken Sie die 3.",
        restored="Die Nachricht bleibt.",
        none_after="Es gibt keine weiteren Nachrichten.",
        none_before="Vor dieser gibt es keine Nachricht.",
        gone="Diese Nachricht gibt es nicht mehr.",
        not_returned="Dieser Anruf kann nicht zurückgerufen werden.",
        greeting_menu="Um Ihre Begrüssung aufzunehmen, drücken Sie die 1. Für die übliche Begrüssung die 2. Für das Hauptmenü die 0.",
        speak="Sprechen Sie nach dem Ton, dann drücken Sie die Raute-Taste.",
        nothing="Ich habe nichts gehört.",
        keep="Um diese Aufnahme zu behalten, drücken Sie die 1. Um sie nochmals zu hören, die 2. Um neu aufzunehmen, die 3.",
        greeting_kept="Das ist jetzt Ihre Begrüssung.",
        greeting_usual="Jetzt wird die übliche Begrüssung gespielt.",
        new_pin="Geben Sie Ihre neue PIN ein, dann die Raute-Taste.",
        pin_again="Geben Sie sie noch einmal ein, dann die Raute-Taste.",
        pin_differs="Die beiden waren nicht gleich.",
        pin_rule="Eine PIN hat 4 bis 12 Ziffern.",
        pin_kept="Ihre PIN ist geändert.",
        not_now="Das ist jetzt nicht möglich.",
    ),
    "nl": ListeningPhrases(
        you_have="U hebt",
        new_messages="nieuwe berichten.",
        one_new="U hebt één nieuw bericht.",
        no_new="U hebt geen nieuwe berichten.",
        old_messages="oude berichten.",
        one_old="Eén oud bericht.",
        listen="Om uw berichten te beluisteren, druk op 1.",
        main="Om uw begroeting te wijzigen, druk op 2. Om uw pincode te wijzigen, druk op 3. Om te stoppen, druk op sterretje.",
        ask_box="Voer het toestelnummer van de voicemail in, gevolgd door een hekje.",
        ask_pin="Voer uw pincode in, gevolgd door een hekje.",
        wrong="Deze code is niet juist.",
        locked="Te veel pogingen. Bel later terug.",
        received="Ontvangen",
        from_="van",
        withheld="een afgeschermd nummer",
        menu="Om het opnieuw te horen, druk op 1. Om het te bewaren, druk op 2. Om het te wissen, druk op 3. Voor het vorige, druk op 4."
        " Om terug te bellen, druk op 5. Voor het volgende, druk op 6. Voor het hoofdmenu, druk op 0.",
        saved="Het bericht is bewaard.",
        deleted="Het bericht is gewist. Om het terug te halen, druk op 3.",
        restored="Het bericht blijft.",
        none_after="Er zijn geen berichten meer.",
        none_before="Er is geen bericht voor dit bericht.",
        gone="Dit bericht is er niet meer.",
        not_returned="Deze oproep kan niet worden teruggebeld.",
        greeting_menu="Om uw begroeting op te nemen, druk op 1. Voor de gewone begroeting, druk op 2. Voor het hoofdmenu, druk op 0.",
        speak="Spreek na de toon en druk daarna op het hekje.",
        nothing="Ik heb niets gehoord.",
        keep="Om deze opname te houden, druk op 1. Om ze opnieuw te horen, druk op 2. Om opnieuw op te nemen, druk op 3.",
        greeting_kept="Dit is nu uw begroeting.",
        greeting_usual="Nu wordt de gewone begroeting gespeeld.",
        new_pin="Voer uw nieuwe pincode in, gevolgd door een hekje.",
        pin_again="Voer hem nog eens in, gevolgd door een hekje.",
        pin_differs="Deze waren niet gelijk.",
        pin_rule="Een pincode heeft 4 tot 12 cijfers.",
        pin_kept="Uw pincode is gewijzigd.",
        not_now="Dat is nu niet mogelijk.",
    ),
    "it": ListeningPhrases(
        you_have="Avete",
        new_messages="nuovi messaggi.",
        one_new="Avete un nuovo messaggio.",
        no_new="Non avete nuovi messaggi.",
        old_messages="vecchi messaggi.",
        one_old="Un vecchio messaggio.",
        listen="Per ascoltare i messaggi, premete 1.",
        main="Per cambiare l'annuncio, premete 2. Per cambiare il codice, premete 3. Per terminare, premete asterisco.",
        ask_box="Digitate il numero interno della casella, poi il tasto cancelletto.",
        ask_pin="Digitate il vostro codice personale, poi il tasto cancelletto.",
        wrong="Questo codice non è corretto.",
        locked="Troppi tentativi. Richiamate più tardi.",
        received="Ricevuto",
        from_="da",
        withheld="un numero riservato",
        menu="Per riascoltarlo, premete 1. Per salvarlo, premete 2. Per cancellarlo, premete 3. Per il precedente, premete 4."
        " Per richiamare, premete 5. Per il successivo, premete 6. Per il menu principale, premete 0.",
        saved="Il messaggio è salvato.",
        deleted="Il messaggio è cancellato. Per recuperarlo, premete 3.",
        restored="Il messaggio resta.",
        none_after="Non ci sono altri messaggi.",
        none_before="Non c'è nessun messaggio prima di questo.",
        gone="Questo messaggio non c'è più.",
        not_returned="Questa chiamata non può essere richiamata.",
        greeting_menu="Per registrare l'annuncio, premete 1. Per l'annuncio abituale, premete 2. Per il menu principale, premete 0.",
        speak="Parlate dopo il segnale, poi premete cancelletto.",
        nothing="Non ho sentito nulla.",
        keep="Per tenere questa registrazione, premete 1. Per riascoltarla, premete 2. Per registrare di nuovo, premete 3.",
        greeting_kept="Questo è ora il vostro annuncio.",
        greeting_usual="Ora viene riprodotto l'annuncio abituale.",
        new_pin="Digitate il nuovo codice, poi il tasto cancelletto.",
        pin_again="Digitatelo ancora una volta, poi il tasto cancelletto.",
        pin_differs="Non erano uguali.",
        pin_rule="Un codice ha da 4 a 12 cifre.",
        pin_kept="Il codice è cambiato.",
        not_now="Ora non è possibile.",
    ),
}


def phrases_in(language: str) -> ListeningPhrases:
    """The sentences for a BCP 47 tag (`fr-CH` is answered in `fr`)."""
    return PHRASES.get(language.split("-")[0].lower(), PHRASES["en"])
