"""Every sentence that a service says is among those that prompt sets are made of."""

import re
from dataclasses import astuple

import pytest

from carillon_media.domain.recording_phrases import PHRASES
from carillon_media.domain.saying.vocabulary import cover, key_of, vocabulary
from carillon_media.handlers import rooms
from carillon_media.sentences import LANGUAGES, sentences
from carillon_routing.domain import feature_phrases
from carillon_routing.domain.queues import speech
from carillon_voicemail.domain import conference_phrases, listening_phrases, phrases

pytestmark = pytest.mark.feature("M-8")
#: Of a conference's and a mailbox's phrases those that are spoken.
_ROOM = ("unknown", "closed", "ask_password", "ask_creator", "wrong", "locked_out", "full", "locked", "kicked", "over", "recorded")
_MAILBOX = ("greeting", "goodbye", "nothing_recorded", "unknown_mailbox")


def said(language: str) -> list[str]:
    """Sentences of all services, those with gaps in parts."""
    tables = (
        speech._POSITION,
        speech._WAIT,
        speech._ONE_MINUTE,
        speech._CALLBACK,
        speech._OFFER,
        *speech._KEYS.values(),
        rooms._JOINED,
        rooms._LEFT,
        *feature_phrases._TEXTS.values(),
    )
    mailbox = next(each for each in phrases._PHRASES if each.language == language)
    texts = [
        *astuple(PHRASES[language]),
        *(getattr(conference_phrases._PHRASES[language], name) for name in _ROOM),
        *(getattr(mailbox, name) for name in _MAILBOX),
        *astuple(listening_phrases.PHRASES[language]),
        *(table[language] for table in tables),
    ]
    parts = (part.strip(" .,") for text in texts for part in re.split(r"\{[a-z]*\}", text))
    return [part for part in parts if part]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_of_the_services_is_there(language: str) -> None:
    known = {key_of(text) for text in (*sentences(language), *vocabulary(language))}
    assert [text for text in said(language) if cover(text, known) is None] == []
