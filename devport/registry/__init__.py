"""What outlives a run: who a service is, its record, its locks and the ports reserved for it."""
