"""`python -m carillon_directory`: the directory as a process."""

from carillon_directory.app import app
from carillon_directory.settings import DirectorySettings
from carillon_kit.lifecycle import run

if __name__ == "__main__":
    run("directory", DirectorySettings, app)
