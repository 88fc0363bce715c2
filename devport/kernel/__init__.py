"""What one system has and another has not, behind functions that every system answers.

Linux: prctl(2), /proc (proc(5)), pidfd_open(2), waitid(2), sock_diag(7). Each has a portable fallback
here, on POSIX calls and psutil; docs/decisions/014 says what it cannot do. Nobody else in devport asks
which system it runs on in order to find a process, a socket or a descriptor.
"""

import os
import sys

LINUX = sys.platform.startswith("linux")
"""The one switch: the tests turn it off, and devport makes do with what macOS has."""
WAITID = hasattr(os, "waitid")
"""Whether a dead child can be looked at before it is reaped; macOS has it from Python 3.13 on."""
