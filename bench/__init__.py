"""The benchmark: devport beside its peers, `cat` and `sed`, in one interleaved run (see README.md)."""
