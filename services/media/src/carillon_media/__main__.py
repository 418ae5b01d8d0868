"""`python -m carillon_media`"""

from carillon_kit.lifecycle import run
from carillon_media.app import app
from carillon_media.settings import MediaSettings


def settings() -> MediaSettings:
    """What the environment says; the time that calls are waited for comes on top of that of the shutdown."""
    found = MediaSettings()
    return found.model_copy(update={"shutdown_seconds": found.shutdown_seconds + found.drain_seconds})


if __name__ == "__main__":
    run("media", settings, app)
