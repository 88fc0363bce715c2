"""What devport promises, as data: the failures, the security lines and the drill of the catalogue."""
