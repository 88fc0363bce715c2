"""Controls of the random walks: what they have found, and protections that they must miss when it is gone."""

from controls.control import Control

WALKS = "tests/e2e/test_walks.py"
SOAK = "tests/e2e/test_soak.py"
DESCENDANTS = "devport/kernel/descendants.py"

CONTROLS = (
    # what walks and soak have found
    Control(
        "sockets-outlive-rm",
        "P07",
        "devport/inventory/removal.py",
        "        sweep(folder, hash_)\n",
        "        pass\n",
        (f"{WALKS}::test_rm_behind_a_kill_leaves_no_socket",),
    ),
    Control(
        "slow-start-is-ended",
        "P07",
        "devport/inventory/restart.py",
        "if said := told(one.holder, one.record):",
        "if said := {}:",
        (f"{WALKS}::test_restart_of_what_takes_its_time",),
    ),
    Control(
        "no-spare-descriptor",
        "F42 P24",
        DESCENDANTS,
        "    if not _spare:\n",
        "    if False:\n",
        (f"{WALKS}::test_f42_a_tree_is_ended_without_a_descriptor",),
    ),
    Control(
        "closed-before-it-is-unwatched",
        "P40",
        "devport/engine/process.py",
        "        unwatch(self.report)\n        os.close(self.report)\n",
        "        os.close(self.report)\n        unwatch(self.report)\n",
        (f"{SOAK}::test_nothing_closed_is_waited_for",),
    ),
    # what any walk is to notice
    Control(
        "locks-are-shared",
        "F58 F60 P07",
        "devport/registry/locks.py",
        "            _refuse_second_name(descriptor)\n            fcntl.flock(descriptor, fcntl.LOCK_EX",
        "            _refuse_second_name(descriptor)\n            fcntl.flock(descriptor, fcntl.LOCK_SH",
        (f"{WALKS}::test_walk",),
    ),
    Control(
        "last-words-are-not-read",
        "F31 F60 P07",
        "devport/engine/job.py",
        "        left = DRAIN\n",
        "        left = 0\n",
        (f"{WALKS}::test_walk_of_some_kinds",),
        also=(
            (
                "devport/engine/loop.py",
                "        if self._drain(job):\n            self._end(job)\n",
                "        self._end(job)\n",
            ),
        ),
    ),
    Control(
        "guardian-leaves-them-alone",
        "F04 F60 P07",
        "devport/engine/guard.py",
        "  kill -9 $children 2>/dev/null\n",
        "  :\n",
        (f"{WALKS}::test_walk_of_some_kinds",),
    ),
)
