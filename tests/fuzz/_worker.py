"""A process of its own for what may crash: each seed is told before it is tried, so that the last one told is to blame.

The parent gives a time; the worker's memory is limited to what it has after its imports and `room` bytes more.
"""

import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass

try:
    import resource
except ImportError:  # not on Windows: no limit there
    resource = None


@dataclass(frozen=True)
class Fault:
    """A seed that did not end as it may, and how it ended."""

    seed: int
    how: str


def limit_memory(room: int) -> None:
    """No more than `room` bytes beside what this process has mapped already."""
    if resource is None or not os.path.exists("/proc/self/statm"):
        return
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (mapped + room, mapped + room))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(arguments: list[str], silence: float, ends: Counter[str] | None = None) -> tuple[int, list[Fault]]:
    """Run a worker; how many seeds it tried, and the faults. It is stopped after `silence` seconds without a word.

    `ends` counts how seeds ended that are no faults, in the worker's words.
    """
    command = [sys.executable, "-m", "tests.fuzz", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        faults, tried, last, late = [], 0, -1, threading.Event()

        def stop():
            late.set()
            child.kill()

        alarm = threading.Timer(silence, stop)
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(child.stderr or ()), daemon=True)
        reader.start()
        alarm.start()
        for line in child.stdout or ():
            alarm.cancel()
            alarm = threading.Timer(silence, stop)
            alarm.start()
            word, _, rest = line.strip().partition(" ")
            if word == "seed":
                last, tried = int(rest), tried + 1
            elif word == "fault":
                faults.append(Fault(last, rest))
            elif word == "end" and ends is not None:
                ends[rest] += 1
        alarm.cancel()
        code = child.wait()
        reader.join()
    if late.is_set():
        faults.append(Fault(last, f"no end within {silence:.0f} s"))
    elif code:
        end = f"signal {-code}" if code < 0 else f"exit code {code}"
        faults.append(Fault(last, f"{end}: {''.join(errors).strip()[-300:]}"))
    return tried, faults
