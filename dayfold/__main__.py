"""`python -m dayfold`."""

from dayfold.cli import main

main()
