"""`python -m pimmodel`."""

from pimmodel.cli.app import main

if __name__ == "__main__":
    main()
