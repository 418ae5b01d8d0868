"""`python -m carillon_media`"""

from carillon_kit.lifecycle import run
from carillon_media.app import app
from carillon_media.settings import MediaSettings

if __name__ == "__main__":
    run("media", MediaSettings, app)
