#!/usr/bin/python3
"""limit.py SECONDS COMMAND...: runs one test, and ends it if it does not end.

No test is about how fast the host is. But a test may hang, and whoever reads its log should see
where: after SECONDS the processes that it started are listed with what they wait for and the stacks
of their threads, and the test fails ("Bail out!"). What a test leaves running is killed in any case.
Its output comes through pipes of ours: what cannot be killed, since it is stuck in the kernel, does
not keep those open that somebody reads to their end.

The exit status is that of the command.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36  # prctl(2): orphans below us become our children


def say(line):
    os.write(1, (line + "\n").encode(errors="replace"))


def read(pid, name):
    try:
        with open("/proc/%d/%s" % (pid, name), errors="replace") as file:
            return file.read().replace("\0", " ").strip()
    except OSError:
        return ""


def state_and_parent(pid):
    fields = read(pid, "stat").rpartition(") ")[2].split()  # the name may contain anything
    return (fields[0], int(fields[1])) if len(fields) > 1 else ("gone", 0)


def descendants():
    """All processes below this one, parents first."""
    parents = {int(pid): state_and_parent(int(pid))[1] for pid in os.listdir("/proc")
               if pid.isdigit()}
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def stacks(pid):
    """The stacks of a process's threads: as the debugger sees them, if there is one."""
    if not shutil.which("gdb"):
        return "(no gdb here)"
    command = ["gdb", "-nx", "-batch", "-p", str(pid), "-ex", "set print frame-arguments none",
               "-ex", "thread apply all -q bt 12"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "(gdb does not answer)"
    lines = done.stdout.decode(errors="replace").splitlines()
    return "\n".join(line for line in lines if line.startswith(("#", "Thread")))


def describe(pid):
    say("# %d %s: %s" % (pid, state_and_parent(pid)[0], read(pid, "cmdline")[:300]))
    for task in sorted(os.listdir("/proc/%d/task" % pid), key=int):
        say("#     thread %s waits in %s" % (task, read(pid, "task/%s/wchan" % task)))


def describe_all():
    """First who is there, then their stacks: a debugger may hang where a list does not."""
    pids = [pid for pid in descendants() if state_and_parent(pid)[0] not in ("Z", "gone")]
    for pid in pids:
        try:
            describe(pid)
        except OSError:  # it has ended meanwhile
            pass
    for pid in pids:
        say("# stacks of %d:" % pid)
        for line in stacks(pid).splitlines()[:60]:
            say("#   " + line[:160])


def kill_all():
    """Until none is left: one that is killed may have started another just before."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        pids = descendants()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except OSError:  # gone, or somebody else's child still
                pass
        if not pids:
            return
        time.sleep(0.02)


def copy(source, target):
    """All that comes from a pipe, as it comes."""
    while part := os.read(source, 65536):
        while part:
            part = part[os.write(target, part):]


def copy_all(test):
    copiers = [threading.Thread(target=copy, args=pair, daemon=True)
               for pair in ((test.stdout.fileno(), 1), (test.stderr.fileno(), 2))]
    for copier in copiers:
        copier.start()
    return copiers


def end(copiers, status):
    """Ends with this status, once what has been printed is copied."""
    kill_all()
    for copier in copiers:
        copier.join(10)
    os._exit(status)  # not held up by a copier whose pipe a stuck process keeps open


def main():
    if len(sys.argv) < 3 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads us may go away
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        test = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        say("Bail out! cannot run %s: %s" % (sys.argv[2], error.strerror))
        sys.exit(99)
    copiers = copy_all(test)
    try:
        status = test.wait(int(sys.argv[1]))
        end(copiers, status if status >= 0 else 128 - status)
    except subprocess.TimeoutExpired:
        say("\n# no end after %s seconds; who is there, and where:" % sys.argv[1])
        describe_all()
        say("Bail out! %s: no end after %s seconds" % (" ".join(sys.argv[2:]), sys.argv[1]))
        end(copiers, 99)


main()
