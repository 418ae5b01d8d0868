"""`python -m carillon_voicemail`"""

from carillon_kit.lifecycle import run
from carillon_voicemail.app import app
from carillon_voicemail.settings import VoicemailSettings

if __name__ == "__main__":
    run("voicemail", VoicemailSettings, app)
