"""`python -m carillon_cdr`"""

from carillon_cdr.app import app
from carillon_cdr.settings import CdrSettings
from carillon_kit.lifecycle import run

if __name__ == "__main__":
    run("cdr", CdrSettings, app)
