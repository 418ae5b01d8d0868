"""`python -m carillon_cli` is `carillon`."""

from carillon_cli.main import main

main()
