"""In which order the services of a run are asked to end: what others need, after those others. Pure."""

from collections.abc import Callable, Iterable, Mapping


class StopOrder:
    """Of services known by their hashes; `needs` says which others each waits for, of the run or not."""

    def __init__(self, needs: Mapping[str, Iterable[str]]) -> None:
        self._left = dict.fromkeys(needs)
        self._needed_by: dict[str, set[str]] = {one: set() for one in needs}
        for one, others in needs.items():
            for other in others:
                if other in self._needed_by:
                    self._needed_by[other].add(one)

    def next(self, is_at_rest: Callable[[str], bool]) -> list[str]:
        """Those that nobody needs any more, given who `is_at_rest`; each is named once only."""
        found = [one for one in self._left if all(map(is_at_rest, self._needed_by[one]))]
        for one in found:
            del self._left[one]
        return found
