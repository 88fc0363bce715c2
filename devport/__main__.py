"""`python -m devport`: the same as the installed `devport`."""

from devport.entry import entry

if __name__ == "__main__":
    entry()
