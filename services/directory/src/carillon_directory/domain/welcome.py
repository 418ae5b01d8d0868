"""The letters that a user gets about their access, in their language: welcome, and a forgotten password. Pure.

Always: the only secret in a letter is a code that is good once; no password ever stands in one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from carillon_contracts.config import User
from carillon_contracts.letter import LetterRequested
from carillon_contracts.tenant_config import TenantConfig

#: How long a code is good, in days and hours.
WELCOME_DAYS, RESET_HOURS = 7, 1


@dataclass(frozen=True, slots=True)
class _Words:
    welcome_subject: str
    welcome: str
    reset_subject: str
    reset: str
    login: str
    extension: str
    numbers: str
    mailbox: str
    code: str
    use_welcome: str
    use_reset: str
    at: str


_WORDS: Mapping[str, _Words] = {
    "en": _Words(
        "Your telephone at {company}",
        "Hello {name},\n\nyour telephone at {company} is ready.",
        "A new password for {login}",
        "Hello {name},\n\nsomebody, probably you, asked for a new password for {login}. If it was not you, do nothing.",
        "Login",
        "Extension",
        "Numbers",
        "Mailbox: dial",
        "Code",
        "Choose your password with this code within {days} days. It is good once.",
        "Choose a new password with this code within {hours} hour. It is good once.",
        "Where",
    ),
    "fr": _Words(
        "Votre téléphone chez {company}",
        "Bonjour {name},\n\nvotre téléphone chez {company} est prêt.",
        "Un nouveau mot de passe pour {login}",
        "Bonjour {name},\n\nquelqu’un, sans doute vous, a demandé un nouveau mot de passe pour {login}. Sinon, ne faites rien.",
        "Identifiant",
        "Numéro interne",
        "Numéros",
        "Messagerie : composez le",
        "Code",
        "Choisissez votre mot de passe avec ce code dans les {days} jours. Il ne sert qu’une fois.",
        "Choisissez un nouveau mot de passe avec ce code dans l’heure ({hours} h). Il ne sert qu’une fois.",
        "Où",
    ),
    "de": _Words(
        "Ihr Telefon bei {company}",
        "Guten Tag {name},\n\nIhr Telefon bei {company} ist bereit.",
        "Ein neues Passwort für {login}",
        "Guten Tag {name},\n\njemand, wohl Sie selbst, hat ein neues Passwort für {login} verlangt. Waren Sie es nicht, tun Sie nichts.",
        "Anmeldename",
        "Nebenstelle",
        "Nummern",
        "Sprachbox: wählen Sie",
        "Code",
        "Wählen Sie mit diesem Code innert {days} Tagen Ihr Passwort. Er gilt einmal.",
        "Wählen Sie mit diesem Code innert {hours} Stunde ein neues Passwort. Er gilt einmal.",
        "Wo",
    ),
    "nl": _Words(
        "Uw telefoon bij {company}",
        "Dag {name},\n\nuw telefoon bij {company} is klaar.",
        "Een nieuw wachtwoord voor {login}",
        "Dag {name},\n\niemand, waarschijnlijk uzelf, heeft een nieuw wachtwoord voor {login} gevraagd. Was u het niet, doe dan niets.",
        "Aanmeldnaam",
        "Toestel",
        "Nummers",
        "Voicemail: kies",
        "Code",
        "Kies met deze code binnen {days} dagen uw wachtwoord. Hij is één keer geldig.",
        "Kies met deze code binnen {hours} uur een nieuw wachtwoord. Hij is één keer geldig.",
        "Waar",
    ),
    "it": _Words(
        "Il suo telefono presso {company}",
        "Buongiorno {name},\n\nil suo telefono presso {company} è pronto.",
        "Una nuova password per {login}",
        "Buongiorno {name},\n\nqualcuno, forse lei, ha chiesto una nuova password per {login}. Se non è stato lei, non faccia nulla.",
        "Nome utente",
        "Interno",
        "Numeri",
        "Casella vocale: componga",
        "Codice",
        "Scelga la sua password con questo codice entro {days} giorni. Vale una volta sola.",
        "Scelga una nuova password con questo codice entro {hours} ora. Vale una volta sola.",
        "Dove",
    ),
}


@dataclass(frozen=True, slots=True)
class Access:
    """What stands in the letter besides the configuration; `console_url` may be empty."""

    login: str
    code: str = field(repr=False)
    console_url: str = ""
    voicemail_code: str = ""


def welcome(config: TenantConfig, user: User, access: Access) -> LetterRequested:
    """The letter to a new user. Raises `ValueError` when the user has no address."""
    words = _words(config, user)
    company = config.tenant.display_name or config.tenant_id
    facts = [(words.login, access.login)]
    if extension := config.extension_of(user.id):
        facts.append((words.extension, extension))
    own = (number for number in config.numbers.values() if number.destination is not None and number.destination.user_id == user.id)
    if numbers := sorted(number.id for number in own):
        facts.append((words.numbers, ", ".join(numbers)))
    if user.mailbox_id and access.voicemail_code:
        facts.append((words.mailbox, access.voicemail_code))
    head = words.welcome.format(name=user.full_name, company=company)
    body = _body(head, facts, words.use_welcome.format(days=WELCOME_DAYS), words, access)
    return _letter(config, user, words.welcome_subject.format(company=company), body)


def reset(config: TenantConfig, user: User, access: Access) -> LetterRequested:
    """The letter to who forgot a password. Raises `ValueError` when the user has no address."""
    words = _words(config, user)
    head = words.reset.format(name=user.full_name, login=access.login)
    body = _body(head, [], words.use_reset.format(hours=RESET_HOURS), words, access)
    return _letter(config, user, words.reset_subject.format(login=access.login), body)


def _body(head: str, facts: list[tuple[str, str]], use: str, words: _Words, access: Access) -> str:
    lines = [head, ""]
    lines += [f"{name}: {value}" for name, value in facts]
    lines += ["", use, "", f"{words.code}: {access.code}"]
    if access.console_url:
        lines.append(f"{words.at}: {access.console_url}")
    return "\n".join([*lines, ""])


def _letter(config: TenantConfig, user: User, subject: str, text: str) -> LetterRequested:
    if not user.email:
        raise ValueError("the user has no e-mail address")
    language = _language(config, user)
    sender = (config.tenant.display_name or config.tenant_id)[:100]
    return LetterRequested(to=(user.email,), subject=subject[:300], text=text, language=language, sender_name=sender)


def _words(config: TenantConfig, user: User) -> _Words:
    return _WORDS.get(_language(config, user)[:2], _WORDS["en"])


def _language(config: TenantConfig, user: User) -> str:
    return user.language or config.tenant.language
