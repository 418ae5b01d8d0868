"""What is known of a person, as files."""

from carillon.voicemail.v1.voicemail_pb2 import Letter
from carillon_cli.commands.person import file_of


def test_only_a_letter_that_was_sent_is_a_file_of_mail() -> None:
    assert file_of(Letter(letter_id="1", state="delivered")) == "letters/1.eml"
    assert file_of(Letter(letter_id="2", state="waiting")) == "letters/2.txt"
