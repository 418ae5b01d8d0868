"""A prompt that a grammar says, as text."""

from carillon_media.domain import saying
from carillon_media.domain.steps import Spoken


def words(prompt: Spoken) -> str:
    """What is spoken, in the prompt's language."""
    language = prompt.language
    match prompt.kind, prompt.values:
        case "number", (value,):
            return saying.number(value, language)
        case "position", (value,):
            return saying.position(value, language)
        case "digits", (value,):
            return saying.digits(str(value), language)
        case "date", (year, month, day):
            return saying.day(year, month, day, language)
        case "time", (hour, minute):
            return saying.clock(hour, minute, language)
        case "amount", (hundredths,):
            return saying.amount(hundredths, prompt.currency, language)
        case "duration", (seconds,):
            return saying.duration(seconds, language)
    raise ValueError(f"a {prompt.kind} does not have {len(prompt.values)} values")
