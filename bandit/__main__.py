"""`python -m bandit`."""

from bandit.cli import main

main()
