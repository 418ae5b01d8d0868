"""Who is told when somebody from outside of a tenant makes administrators of it, or takes that away. Pure.

Always: a reseller that entered a tenant, or an operator, sets up its people as its own administrators do, and not behind their backs: those
who are administrators before the change get a letter of it, whoever it takes that away from among them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from carillon_contracts.audit import AdministratorChanged
from carillon_contracts.config import ConfigChanged, User
from carillon_contracts.letter import LetterRequested
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.commands import Asked

_ROLES = ("admin", "department_admin")
#: Lines of a letter; who imports a company makes many at once.
_MOST = 50


@dataclass(frozen=True, slots=True)
class _Words:
    subject: str
    head: str
    made: str
    taken: str
    more: str
    foot: str


_WORDS: Mapping[str, _Words] = {
    "en": _Words(
        "Administrators of {company} have changed",
        "Hello {name},\n\n{by}, from outside of your company, has changed who administers {company}:",
        "is an administrator now ({role})",
        "is not an administrator any more",
        "and {count} more",
        "If nobody of yours asked for that, talk to who sells you your telephones. The history of your configuration shows every step.",
    ),
    "fr": _Words(
        "Les administrateurs de {company} ont changé",
        "Bonjour {name},\n\n{by}, extérieur à votre entreprise, a changé qui administre {company} :",
        "est maintenant administrateur ({role})",
        "n’est plus administrateur",
        "et {count} de plus",
        "Si personne chez vous ne l’a demandé, parlez à votre fournisseur. L’historique de votre configuration montre chaque pas.",
    ),
    "de": _Words(
        "Die Administratoren von {company} haben gewechselt",
        "Guten Tag {name},\n\n{by}, von ausserhalb Ihrer Firma, hat geändert, wer {company} verwaltet:",
        "ist jetzt Administrator ({role})",
        "ist nicht mehr Administrator",
        "und {count} weitere",
        "Hat das niemand von Ihnen verlangt, sprechen Sie mit Ihrem Anbieter. Die Geschichte Ihrer Konfiguration zeigt jeden Schritt.",
    ),
    "nl": _Words(
        "De beheerders van {company} zijn gewijzigd",
        "Dag {name},\n\n{by}, van buiten uw bedrijf, heeft gewijzigd wie {company} beheert:",
        "is nu beheerder ({role})",
        "is geen beheerder meer",
        "en nog {count}",
        "Heeft niemand bij u daarom gevraagd, neem dan contact op met uw leverancier. De geschiedenis van uw configuratie toont elke stap.",
    ),
    "it": _Words(
        "Gli amministratori di {company} sono cambiati",
        "Buongiorno {name},\n\n{by}, esterno alla sua azienda, ha cambiato chi amministra {company}:",
        "è ora amministratore ({role})",
        "non è più amministratore",
        "e altri {count}",
        "Se nessuno da voi l’ha chiesto, parli con il suo fornitore. La cronologia della configurazione mostra ogni passo.",
    ),
}


def changed(command: Asked, changes: Iterable[ConfigChanged]) -> Iterator[AdministratorChanged]:
    """What the tenant is to be told of; nothing of what its own people do."""
    if command.bounds.inside and not command.bounds.visiting:
        return
    for each in changes:
        if roles := _role(each):
            yield AdministratorChanged(user_id=each.resource_id, was=roles[0], now=roles[1], by=command.actor)


def letters(
    before: TenantConfig, told: Sequence[AdministratorChanged], changes: Iterable[ConfigChanged]
) -> Iterator[tuple[User, LetterRequested]]:
    """To each administrator of before who has an address."""
    readers = sorted((user.id, user.email, user) for user in before.users.values() if user.role == "admin" and user.email)
    names = {each.resource_id: User.model_validate(each.after or each.before).full_name for each in changes if readers and _role(each)}
    for _, address, user in readers:
        company, language = before.tenant.display_name or before.tenant_id, user.language or before.tenant.language
        words = _WORDS.get(language[:2], _WORDS["en"])
        lines = [words.head.format(name=user.full_name, company=company, by=told[0].by), ""]
        lines += [_line(words, each, names[each.user_id]) for each in told[:_MOST]]
        lines += [words.more.format(count=len(told) - _MOST)] if len(told) > _MOST else []
        text = "\n".join([*lines, "", words.foot, ""])
        subject = words.subject.format(company=company)[:300]
        yield user, LetterRequested(to=(address,), subject=subject, text=text, language=language, sender_name=company[:100])


def _role(change: ConfigChanged) -> tuple[str, str] | None:
    """Before and after, of who becomes an administrator or is one no more."""
    if change.resource != User.KIND:
        return None
    was, now = (str(side.get("role", "user")) if side is not None else "" for side in (change.before, change.after))
    return (was, now) if was != now and {was, now} & set(_ROLES) else None


def _line(words: _Words, told: AdministratorChanged, name: str) -> str:
    what = words.made.format(role=told.now) if told.now in _ROLES else words.taken
    return f"{name} ({told.user_id}): {what}"
