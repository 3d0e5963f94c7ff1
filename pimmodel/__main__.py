"""`python -m pimmodel`."""

from pimmodel.cli import main

if __name__ == "__main__":
    main()
