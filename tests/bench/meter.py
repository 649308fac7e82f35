#!/usr/bin/env python3
"""What the measuring scripts measure with. Standard library alone; every figure is of other processes.

meter.py run [--rounds N] -- COMMAND…      whole processes: wall, CPU (user and system), peak resident memory
meter.py ready [--log FILE] -- COMMAND…    starts a daemon, waits for READY=1, leaves it running
meter.py cpu PID                           CPU seconds of a process until now, threads that ended included
meter.py peak PID                          its largest resident memory until now, in MiB
meter.py memory PID                        what is resident: all, anonymous, of files, in MiB
meter.py rest SECONDS PID…                 wake-ups (voluntary context switches) and CPU of processes at rest
meter.py change PID LOG TEXT FROM TO       renames FROM to TO; seconds until LOG says TEXT, and CPU seconds by then

Each prints one line of figures; with several rounds MEDIAN (LEAST..MOST) of each.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def cpu(pid):
    """By the process's own CPU clock: in nanoseconds, whichever of its threads used it."""
    return time.clock_gettime((~pid << 3) | 2)


def spread(values, form):
    values = sorted(values)
    shown = [form % value for value in (values[len(values) // 2], values[0], values[-1])]
    return shown[0] if len(values) == 1 else "%s (%s..%s)" % tuple(shown)


def once(command):
    with open(os.devnull, "r+b") as null, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        child = subprocess.Popen(command, stdin=null, stdout=null, stderr=errors)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    return wall, used.ru_utime, used.ru_stime, child.returncode, said


def with_peak(command):
    """A child's peak begins with what it inherits, so a small parent is needed: GNU time. None where it is missing."""
    if not os.access(GNU_TIME, os.X_OK):
        return None, once(command)
    with tempfile.NamedTemporaryFile("r") as told:
        result = once([GNU_TIME, "-q", "-f", "%M", "-o", told.name] + command)
        return float(told.read().split()[-1]) / 1024, result


def run(words):
    rounds = 1
    if words[0] == "--rounds":
        rounds, words = int(words[1]), words[2:]
    command = words[words.index("--") + 1:]
    # Where it can be repeated, the time is that of the command alone.
    results = [once(command) for _ in range(rounds if rounds > 1 else 0)]
    peak, last = with_peak(command)
    wall, user, system, codes, said = zip(*(results or [last]))
    both = [one + other for one, other in zip(user, system)]
    print("wall %s s  CPU %s s (user %s, system %s)  peak %s" % (
        spread(wall, "%.3f"), spread(both, "%.3f"), spread(user, "%.3f").split()[0],
        spread(system, "%.3f").split()[0], "unknown" if peak is None else "%.1f MiB" % peak))
    if any(codes):
        sys.exit("%s: exit code %s: %s" % (" ".join(command[:3]), codes, " | ".join(said[-1][:3])))


def ready(words):
    log = os.devnull
    if words[0] == "--log":
        log, words = words[1], words[2:]
    command = words[words.index("--") + 1:]
    with tempfile.TemporaryDirectory() as folder, open(log, "ab") as out, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        path = os.path.join(folder, "notify")
        ear.bind(path)
        ear.settimeout(600)
        began = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 env=dict(os.environ, NOTIFY_SOCKET=path), start_new_session=True)
        try:
            while b"READY=1" not in ear.recv(65536).split(b"\n"):
                pass
        except (socket.timeout, KeyboardInterrupt):
            child.kill()
            sys.exit("no READY within 600 s")
        print("%d %.4f %.4f" % (child.pid, time.monotonic() - began, cpu(child.pid)))


def fields(path):
    pairs = (line.split(":", 1) for line in Path(path).read_text().splitlines() if ":" in line)
    return {name: value.split() for name, value in pairs}


def memory(words):
    pid = words[0]
    status, mapped = fields("/proc/%s/status" % pid), fields("/proc/%s/smaps_rollup" % pid)
    rss, anonymous = int(mapped["Rss"][0]) / 1024, int(mapped["Anonymous"][0]) / 1024
    print("VmRSS %.1f MiB; Rss %.1f MiB: anonymous %.1f, of files %.1f" % (
        int(status["VmRSS"][0]) / 1024, rss, anonymous, rss - anonymous))


def switches(pid):
    found = {}
    for task in Path("/proc/%d/task" % pid).iterdir():
        try:
            found[task.name] = int(fields(task / "status")["voluntary_ctxt_switches"][0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def rest(words):
    """Each thread is looked at every second: of one that ends between two looks, the switches since the last are lost."""
    seconds, pids = float(words[0]), [int(word) for word in words[1:]]
    first = {pid: switches(pid) for pid in pids}
    last = {pid: dict(first[pid]) for pid in pids}
    threads = {pid: set(first[pid]) for pid in pids}
    used = {pid: cpu(pid) for pid in pids}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(max(0, min(1, end - time.monotonic())))
        for pid in pids:
            last[pid].update(switches(pid))
            threads[pid].update(last[pid])
    for pid in pids:
        count = sum(value - first[pid].get(task, 0) for task, value in last[pid].items())
        burnt = cpu(pid) - used[pid]
        print("%d wake-ups %d in %.0f s (%.1f a minute, threads seen: %d)  CPU %.1f ms" % (
            pid, count, seconds, count * 60 / seconds, len(threads[pid]), burnt * 1000))


def change(words):
    pid, log, text, source, target = int(words[0]), Path(words[1]), words[2].encode(), words[3], words[4]
    with log.open("rb") as lines:
        lines.seek(0, os.SEEK_END)
        before, began = cpu(pid), time.monotonic()
        os.rename(source, target)
        seen = b""
        while text not in seen:
            if time.monotonic() - began > 60:
                sys.exit("%s did not say %r within a minute" % (log, text))
            time.sleep(0.0005)
            seen += lines.read()
        print("%.4f %.4f" % (time.monotonic() - began, cpu(pid) - before))


GNU_TIME = "/usr/bin/time"


def main():
    command, words = sys.argv[1], sys.argv[2:]
    if command == "cpu":
        print("%.3f" % cpu(int(words[0])))
    elif command == "peak":
        print("%.1f" % (int(fields("/proc/%s/status" % words[0])["VmHWM"][0]) / 1024))
    else:
        {"run": run, "ready": ready, "memory": memory, "rest": rest, "change": change}[command](words)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
