"""`python -m softxent` is `softxent`."""

from softxent.cli import main

if __name__ == "__main__":
    main()
