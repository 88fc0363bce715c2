"""Many services, and time."""

from promises.entry import Entry

SOAK = "tests/e2e/test_soak.py::"

CATALOGUE = (
    Entry(
        "P23",
        "1,200 services start within a minute, cost nothing while they are idle, and lose no line.",
        (f"{SOAK}test_p23_twelve_hundred_services",),
    ),
    Entry(
        "P40",
        "Days of crashes, kills, probes, restarts and output leave nothing behind in memory or descriptors, "
        "and no life is lost or doubled.",
        (f"{SOAK}test_p40_three_days_leave_nothing_behind", f"{SOAK}test_p40_ten_real_minutes"),
    ),
)
