"""`python -m clothes_toolkit`."""

from clothes_toolkit.cli import main

if __name__ == "__main__":
    main()
