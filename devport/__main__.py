"""`python -m devport`: the same as the installed `devport`."""

import sys

from devport.cli import main

if __name__ == "__main__":
    sys.exit(main())
