"""`python -m carillon_routing`"""

from carillon_kit.lifecycle import run
from carillon_routing.app import app
from carillon_routing.settings import RoutingSettings

if __name__ == "__main__":
    run("routing", RoutingSettings, app)
