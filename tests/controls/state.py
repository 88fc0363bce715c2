"""Controls of records and locks: what is written, flushed, kept and believed; and of the clocks."""

from controls.control import Control

DISK = "tests/integration/test_drill_records.py"
STATE = "tests/e2e/test_drill_state.py"
PORTS = "tests/e2e/test_drill_ports.py"
LOCKED = "tests/integration/test_locks.py"
STORED = "tests/integration/test_store.py"
STORE = "devport/registry/store.py"
LOCKS = "devport/registry/locks.py"
RECORD = "devport/registry/record.py"
TAKE = (
    "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n            if files.is_at(descriptor, path):\n"
)
WRITE = "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n                if files.is_at("

CONTROLS = (
    # what is written
    Control(
        "records-are-written-in-place",
        "F50 F51 P05 P06",
        STORE,
        "os.replace(draft, self.path(record.hash))",
        'open(self.path(record.hash), "wb").write(to_json(record))',
        (f"{DISK}::test_p05_readers_and_a_writer", f"{DISK}::test_p06_killed_while_saving"),
    ),
    Control(
        "changed-records-are-not-flushed",
        "F51 P26",
        STORE,
        "            files.flush(draft)\n            os.replace(draft",
        "            os.replace(draft",
        (f"{DISK}::test_p26_power_cut",),
    ),
    Control(
        "new-records-are-not-flushed",
        "F51 P26",
        STORE,
        "                files.flush(draft)\n            self._settle",
        "                pass\n            self._settle",
        (f"{DISK}::test_p26_power_cut",),
    ),
    Control(
        "the-folder-is-not-flushed-after-a-change",
        "F51 P26",
        STORE,
        "        if written:\n",
        "        if False:\n",
        (f"{DISK}::test_p26_power_cut",),
    ),
    Control(
        "the-folder-is-not-flushed-after-a-registration",
        "F51 P26",
        STORE,
        "            if not drafts:\n",
        "            if False:\n",
        (f"{DISK}::test_p26_power_cut",),
    ),
    Control(
        "the-folder-is-not-flushed-after-a-removal",
        "F51 P26",
        STORE,
        "            files.flush(self.services)\n        except FileNotFoundError:\n            pass\n",
        "            pass\n        except FileNotFoundError:\n            pass\n",
        (f"{DISK}::test_p26_power_cut",),
    ),
    Control(
        "new-folders-are-not-flushed",
        "F51",
        "devport/registry/files.py",
        "        _flush_name(path)\n",
        "        pass\n",
        (f"{DISK}::test_f51_new_folders_are_on_the_disk",),
    ),
    Control(
        "damaged-records-are-written-over",
        "F50 F51 P06 P26",
        STORE,
        "            self._keep_damaged(drafts[draft].hash)\n",
        "",
        (f"{DISK}::test_p26_power_cut", f"{DISK}::test_p06_killed_while_a_damaged_record_is_replaced"),
    ),
    Control(
        "the-name-of-a-kept-file-is-not-flushed",
        "F51 P26",
        STORE,
        "                files.flush(self.services)  # or a power cut",
        "                pass  # or a power cut",
        (f"{DISK}::test_p26_power_cut",),
    ),
    Control(
        "damaged-records-reserve-nothing",
        "F50",
        "devport/registry/snapshot.py",
        "taken = {port: hash_ for hash_, torn in self.unreadable.items() for port in torn.ports}",
        "taken: dict[int, str] = {}",
        (f"{DISK}::test_f50_a_torn_record_keeps_its_port",),
        quick=True,
    ),
    Control(
        "drafts-stay-where-the-disk-is-full",
        "F53 P25",
        STORE,
        "        except BaseException:\n            _unlink(draft)\n            raise\n",
        "        except BaseException:\n            raise\n",
        (f"{DISK}::test_p25_full_and_read_only_disk",),
    ),
    Control(
        "a-log-in-trouble-ends-the-supervisor",
        "F53 P25",
        "devport/engine/log.py",
        "            self._told = False\n        except OSError as error:",
        "            self._told = False\n        except ZeroDivisionError as error:",
        (f"{DISK}::test_p25_log_that_cannot_be_written",),
    ),
    Control(
        "a-full-disk-ends-the-supervisor",
        "F53",
        "devport/supervisor.py",
        "            self._say(error.message)  # a full disk",
        "            raise  # a full disk",
        ("tests/e2e/test_background_must_hold.py::test_disk_full_under_a_running_service",),
    ),
    Control(
        "a-full-disk-ends-a-run-badly",
        "F53",
        "devport/claim.py",
        '        context.say(f"devport: {error.message}")\n    for lock',
        "        raise error\n    for lock",
        ("tests/e2e/test_background_must_hold.py::test_f53_disk_full_under_a_run",),
    ),
    Control(
        "our-own-exhaustion-is-damage",
        "F50",
        STORE,
        "if error.errno in EXHAUSTED:",
        "if error.errno == 0:",
        (f"{STORED}::test_our_own_exhaustion_does_not_make_a_record_look_damaged",),
    ),
    Control(
        "unknown-fields-are-dropped",
        "F64",
        RECORD,
        "            extra[name] = value\n",
        "            pass\n",
        (f"{DISK}::test_f64_records_of_other_versions",),
    ),
    Control(
        "newer-records-are-read",
        "F64",
        RECORD,
        "    if schema > SCHEMA:\n",
        "    if False:\n",
        (f"{DISK}::test_f64_records_of_other_versions",),
    ),
    # who writes
    Control(
        "records-are-changed-without-a-lock",
        "F52 P04",
        STORE,
        WRITE,
        "if files.is_at(",
        (f"{DISK}::test_p04_no_increment_is_lost",),
    ),
    Control(
        "the-lock-of-a-replaced-record-will-do",
        "F52 P04",
        STORE,
        "if files.is_at(descriptor, self.path(hash_)):",
        "if True:",
        (
            f"{STORED}::test_a_removal_in_the_middle_of_an_update_wins",
            f"{DISK}::test_p04_no_increment_is_lost",
        ),
    ),
    Control(
        "everyone-has-a-register-lock-of-their-own",
        "F65 P03",
        LOCKS,
        'f"{self._store.locks}/register.lock"',
        'f"{self._store.locks}/register.{os.getpid()}.lock"',
        (f"{DISK}::test_p03_registrations_at_once",),
    ),
    Control(
        "starts-do-not-wait-for-each-other",
        "F58",
        STORE,
        'return f"{self.locks}/{hash_}.launch"',
        'return f"{self.locks}/{hash_}.{os.getpid()}.launch"',
        ("tests/e2e/test_background_must_hold.py::test_thirty_starts_of_one",),
    ),
    # locks
    Control(
        "locks-exclude-nobody",
        "F54 F58 P01",
        LOCKS,
        TAKE,
        "if files.is_at(descriptor, path):\n",
        (
            f"{LOCKED}::test_one_process_holds_it_and_the_other_learns_who",
            f"{STATE}::test_p01_starts_of_one_service_at_once",
        ),
    ),
    Control(
        "the-lock-of-an-unlinked-file-will-do",
        "F54",
        LOCKS,
        "            if files.is_at(descriptor, path):\n                line",
        "            if True:\n                line",
        (
            f"{LOCKED}::test_a_lock_unlinked_between_open_and_flock_is_not_taken",
            f"{DISK}::test_f54_lock_files_that_go_while_others_wait",
        ),
        quick=True,
    ),
    Control(
        "a-removed-lock-file-lets-a-second-life-in",
        "F54",
        "devport/supervisor.py",
        "        _check_alone(record, me.socket)\n",
        "",
        (f"{STATE}::test_f54_a_removed_lock_file_does_not_let_a_second_life_in",),
    ),
    Control(
        "posix-locks",
        "F56",
        LOCKS,
        TAKE,
        TAKE.replace("fcntl.flock", "fcntl.lockf"),
        (f"{DISK}::test_f56_another_descriptor_of_the_file_is_closed",),
        quick=True,
    ),
    Control(
        "lookers-take-the-lock",
        "F55",
        LOCKS,
        "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        (
            f"{LOCKED}::test_looking_creates_nothing_and_takes_nothing",
            f"{DISK}::test_f55_lookers_never_make_a_start_fail",
        ),
        quick=True,
    ),
    Control(
        "takers-ask-once",
        "F55",
        LOCKS,
        "PATIENCE = 1.0\n",
        "PATIENCE = 0.0\n",
        (f"{DISK}::test_f55_lookers_never_make_a_start_fail",),
    ),
    Control(
        "a-pid-is-believed",
        "F57 P28",
        "devport/registry/holder.py",
        "process_start(holder.pid) != holder.started",
        "not process_start(holder.pid)",
        (f"{LOCKED}::test_a_held_lock_with_any_text_is_held_by_somebody_unknown",),
    ),
    Control(
        "no-locks-is-no-trouble-worth-a-word",
        "F61",
        LOCKS,
        "UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)",
        "UNSUPPORTED = ()",
        (
            f"{DISK}::test_f61_no_locks_on_this_file_system",
            f"{STATE}::test_f61_no_locks_on_the_disk_of_the_state",
        ),
    ),
    # killed
    Control(
        "services-outlive-their-supervisor",
        "F04 P27",
        "devport/engine/guard.py",
        "  kill -9 $children 2>/dev/null\n",
        "  break\n",
        (f"{STATE}::test_p27_everything_is_killed",),
        also=(
            ("devport/engine/guard.py", '[ -z "$group" ] || kill -9 -- "-$group" 2>/dev/null\n', ":\n"),
            ("devport/kernel/descendants.py", "_prctl(PR_SET_PDEATHSIG, number)", "pass"),
        ),
    ),
    # clocks
    Control(
        "the-loop-goes-by-the-time-of-day",
        "F62 P37",
        "devport/context.py",
        "    now: Callable[[], float] = time.monotonic\n",
        "    now: Callable[[], float] = time.time\n",
        (f"{STATE}::test_p37_clock_jumps",),
    ),
    Control(
        "a-deadline-by-the-time-of-day",
        "F62",
        "devport/engine/loop.py",
        "from collections.abc import Callable, Iterable\n",
        "from collections.abc import Callable, Iterable\nfrom time import time\n",
        ("tests/test_clocks.py::test_f62_who_asks_for_the_time_of_day",),
    ),
    Control(
        "a-clock-ahead-frees-ports",
        "F62 F73",
        "devport/registry/register.py",
        "    return age is not None and age < port_rules.UNUSED_FOR\n",
        "    return False\n",
        (f"{PORTS}::test_f62_a_clock_that_jumps_ahead_frees_no_port",),
    ),
    Control(
        "late-deadlines-blame-the-service",
        "F63",
        "devport/sources/probe.py",
        "self._void = self._loop.now() - self._asked - self._probe.probe_timeout > LATE",
        "self._void = False",
        ("tests/e2e/test_faults_handed.py::test_f63_f82_supervisor_that_was_suspended",),
    ),
)
