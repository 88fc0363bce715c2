"""What the catalogue asks of each part of the drill, what is done, and why where it is less.

(asked of `make test`, of `make drill`, done in `make test`, in `make drill`, why). A number without a unit
counts rounds; `16 x 5` is five rounds of sixteen.
"""

TIME = "time"
COMMANDS = "each round is as many commands, in processes of their own"

ASKED = {
    "P01": ("16 x 5", "16 x 200", "16 x 5", "16 x 25", COMMANDS),
    "P02": ("16 x 3", "64 x 50", "16 x 1", "64 x 6", "a supervisor each"),
    "P03": ("64 x 3", "64 x 100", "64 x 1", "64 x 10, one checkout x 20", COMMANDS),
    "P04": ("8 x 100", "20 x 500", "8 x 100", "20 x 500", ""),
    "P05": ("10 s", "300 s", "1 s", "60 s", TIME),
    "P06": ("200", "all", "12 an act", "all 382", "there are no more system calls"),
    "P07": ("20 s", "30 min", "12 steps a seed", "15 min", TIME),
    "P08": ("100", "2,000", "100 and 2", "2,000 and 100", "in the background a supervisor each"),
    "P09": ("3", "50", "1", "50", TIME),
    "P10": ("1 x 1,000", "20 x 1,000", "1 x 200", "20 x 1,000", TIME),
    "P11": ("3", "300", "3", "300", ""),
    "P12": ("40", "400", "40", "400", ""),
    "P13": ("20 each", "200 each", "1 each", "200 each; 1 to 31 in the background x 6", TIME),
    "P14": ("8 x 3", "8 x 50", "10 x 1", "10 x 15, in the background 10 x 10", "six seconds a round"),
    "P15": ("5", "100", "5", "100", ""),
    "P16": ("2", "20", "2", "20", ""),
    "P17": ("3", "50", "3", "50", ""),
    "P18": ("3 x 3", "3 x 50", "3 x 1", "3 x 50", TIME),
    "P19": ("1", "20", "1 of 60,000 lines", "20 of 200,000 lines", TIME),
    "P20": ("1", "10", "1 of 40 lines each", "3 of 10,000 lines each, and the short one", TIME),
    "P21": ("1 GiB", "5 x 1 GiB", "16 MiB", "1 GiB, and 128 MiB by a terminal", TIME),
    "P22": ("5", "100", "5 and 5", "100 and 100", ""),
    "P23": ("-", "3", "-", "1", "minutes each"),
    "P24": ("100", "5,000", "2 x 100 and 1", "2 x 2,500 and 30", ""),
    "P25": ("1 each", "20 each", "2 and 1", "20 and 20", ""),
    "P26": ("200", "5,000", "197", "197", "there are no more states of the disk"),
    "P27": ("5", "200", "1 of 5 services", "8 of 10 services", "a tmux server each"),
    "P28": ("20", "500", "20", "300", COMMANDS),
    "P29": ("1", "50", "4; users 1", "100; users 10", ""),
    "P30": ("1", "10", "1", "4", TIME),
    "P31": ("5", "50", "5 a frame", "50 a frame", ""),
    "P32": ("1", "20", "1", "20", ""),
    "P33": ("1", "20", "1", "20; own doing 10, inotify 5", "they are pauses, for the most part"),
    "P34": ("200", "5,000", "2 x 200", "2 x 5,000", ""),
    "P35": ("1", "1", "1", "1", ""),
    "P36": ("200 a format", "5,000 a format", "20 or 40 a reader", "5,000 a reader", TIME),
    "P37": ("3", "20", "4, in one frame", "20 a frame", ""),
    "P38": (
        "42",
        "42 x 10",
        "42, and one alone",
        "42 x 10, in the background 42 x 3",
        "42 supervisors at once",
    ),
    "P39": ("3", "50", "2 x 3", "2 x 25", ""),
    "P40": ("-", "24 h", "three days of a false clock", "the same, and ten real minutes", TIME),
}
