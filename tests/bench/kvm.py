#!/usr/bin/python3
"""The part of `make bench` about x86 guests; `make bench-kvm` runs it alone.

One table: what was measured, what it is measured against, and the floor (floors.json, "kvm"). What
cannot be measured here says why.
"""

import json
import os
import re
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import bench

COMPUTE = ("isort", "sieve", "matmul", "sha256", "nqueens", "dhry")
SECONDS = 300  # of a guest that says nothing
SLOW_RUNS = 3  # of Linux where its kernel is interpreted
SILENT = 1800  # seconds without a line of a kernel that is interpreted, on a busy computer
QEMU = shutil.which("qemu-system-x86_64")
X86 = os.path.join(bench.SAMPLES, "x86")
# Prints a byte by the debug port, then works without end: mov al, '!'; out 0xe9, al; pause; jmp.
WORKING = bytes([0xb0, 0x21, 0xe6, 0xe9, 0xf3, 0x90, 0xeb, 0xfc])

LINUX_LINES = {b"Linux version": "first line", b"Run /init": '"Run /init"'}
GIVEN_UP = b"KVM internal error"  # QEMU says so, and keeps the guest as it is


class Missing(Exception):
    """Why something cannot be measured here."""


class Table:
    def __init__(self, floors):
        self.floors, self.rows = floors, []

    def add(self, name, value, unit, beside="", floor=None, less_is_better=True):
        """`floor` is a name in floors.json."""
        bound = self.floors.floors["kvm"].get(floor) if floor else None
        missed = bound is not None and (value > bound if less_is_better else value < bound)
        if missed:
            self.floors.missed.append(f"KVM, {name}: {value:.2f} {unit}, not {bound}")
        goal = "" if bound is None else f"{'<=' if less_is_better else '>='} {bound}"
        self.rows.append((name, f"{value:.2f}", unit, goal, bench.BELOW if missed else "", beside))

    def leave_out(self, name, why):
        self.rows.append((name, "-", "", "", "", str(why)))

    def write(self):
        print("\nx86 guests on KVM, medians")
        for name, value, unit, goal, mark, beside in self.rows:
            print(f"  {name:34} {value:>9} {unit:5} {goal:8} {mark:1} {beside}".rstrip())


# ---- exits, starts and snapshots, inside one program -------------------------------------------


def add_inner(table):
    result = bench.run([os.path.join(bench.BUILD, "tests/bench/kvm")], SECONDS)
    if result["status"]:
        raise Missing("tests/bench/kvm fails: run it by hand")
    figures = json.loads(result["text"])
    table.add("exit, whole monitor : KVM_RUN alone", figures["exit_ratio"], "times",
              f"{figures['exit_ns']} : {figures['bare_exit_ns']} ns", "exit ratio")
    table.add("first instruction, VM made", figures["start_ms"], "ms")
    table.add("snapshot, 64 MiB", figures["snapshot_ms"], "ms")
    table.add("restored to next instruction, 64 MiB", figures["restore_ms"], "ms",
              floor="restore ms")


# ---- the command -------------------------------------------------------------------------------


def until(command, wanted, seconds=SECONDS):
    """Starts it; seconds until it has printed `wanted`, and the process, which goes on."""
    started = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
    os.set_blocking(child.stdout.fileno(), False)
    text = b""
    while wanted not in text:
        piece = child.stdout.read(4096) or b""
        text += piece
        over = time.monotonic() - started > seconds
        if over or (not piece and child.poll() is not None):
            end(child)
            raise Missing(f"{os.path.basename(command[0])} has not printed {wanted.decode()!r}")
        if not piece:
            time.sleep(0.0001)
    return time.monotonic() - started, child


def end(child):
    child.kill()
    child.wait()
    child.stdout.close()


def time_until(command, wanted, runs):
    """Median seconds."""
    times = []
    for _ in range(runs):
        seconds, child = until(command, wanted)
        end(child)
        times.append(seconds)
    return statistics.median(times)


def add_start(table):
    hello = os.path.join(X86, "hello64.elf")
    if not os.path.exists(hello):
        raise Missing("samples/x86 is not built")
    runs = max(bench.RUNS, 15)
    alone = time_until([bench.VITRINE, "--version"], b"vitrine", runs) * 1e3
    table.add("first byte of hello64, with process",
              time_until([bench.VITRINE, "run", "--kvm", hello], b"H", runs) * 1e3, "ms",
              f"of which the process alone: {alone:.2f}", "start ms")


def memory_of(pid):
    """KiB of the process without its guest's memory: resident, of them its own share."""
    total, guest, inside = {"Rss": 0, "Pss": 0}, {"Rss": 0, "Pss": 0}, False
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as file:
        for line in file:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                inside = "memfd:guest memory" in line
            name, _, rest = line.partition(":")
            if name in total:
                total[name] += int(rest.split()[0])
                guest[name] += int(rest.split()[0]) if inside else 0
    return total["Rss"] - guest["Rss"], total["Pss"] - guest["Pss"]


def add_memory(table):
    with tempfile.NamedTemporaryFile(suffix=".bin") as image:
        image.write(WORKING)
        image.flush()
        command = [bench.VITRINE, "run", "--kvm", "--boot", "flat16", image.name]
        sizes = []
        for _ in range(max(bench.RUNS, 5)):
            _, child = until(command, b"!")
            time.sleep(0.1)
            sizes.append(memory_of(child.pid))
            end(child)
    resident = statistics.median(size[0] for size in sizes) / 1024
    share = statistics.median(size[1] for size in sizes) / 1024
    table.add("memory beside the guest's, resident", resident, "MiB",
              f"its share, where others have libraries too: {share:.2f}", "resident MiB")


# ---- compute kernels ---------------------------------------------------------------------------


def add_kernels(table):
    command = [bench.VITRINE, "compare", *COMPUTE, "--engines", "kvm", "--runs",
               str(max(bench.RUNS, 5)), "--json"]
    bench.say("compute kernels on KVM")
    result = bench.run(command)
    if result["status"]:
        raise Missing(f"vitrine compare --engines kvm: exit status {result['status']}")
    ratios = {}
    for kernel in json.loads(result["text"])["kernels"]:
        for row in kernel["rows"]:
            if row["mode"] == "kvm" and row["of_native"]:
                ratios[kernel["name"]] = row["of_native"]
    if not ratios:
        raise Missing("the x86 kernels are not built")
    each = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
    table.add("compute kernels, part of native", bench.geomean(ratios.values()), "", each,
              "of native", less_is_better=False)


# ---- Linux -------------------------------------------------------------------------------------


def linux_folder():
    """Where samples/x86/linux.sh has built a kernel, as tests/e2e/linux-x86.sh looks for it."""
    source = os.path.dirname(os.path.dirname(bench.HERE))
    for folder in (os.environ.get("VITRINE_LINUX_X86"), os.path.join(X86, "linux"),
                   os.path.join(source, "build", "samples", "x86", "linux")):
        if folder and os.path.exists(os.path.join(folder, "vmlinux")):
            return folder
    raise Missing("no kernel: build one with samples/x86/linux.sh")


def has_hardware():
    """Without hardware below KVM the guest's kernel is interpreted: some features must be hidden."""
    return not os.path.exists("/sys/module/kvm_pvm")


def linux_commands(folder):
    """The same kernel in as much memory: this program's command, and QEMU's or None."""
    kernel, initrd = (os.path.join(folder, name) for name in ("vmlinux", "initramfs.cpio"))
    arguments, cpu = "console=ttyS0 panic=1 reboot=k", "host"
    if not has_hardware():
        arguments += (" noxsave nofsgsbase clearcpuid=smap,smep,cx16,invpcid,pcid,popcnt,rdrand,"
                      "rdseed mitigations=off no_timer_check norandmaps")
        cpu += ",arch-capabilities=off"  # this KVM offers the MSR, and refuses to set it
    ours = [bench.VITRINE, "run", "--kvm", kernel, "--initrd", initrd, "--memory", "64M",
            "--no-reboot", "--kernel-args", arguments]
    peer = QEMU and [QEMU, "-M", "microvm,rtc=on", "-accel", "kvm", "-cpu", cpu, "-m", "64",
                     "-nographic", "-no-reboot", "-kernel", kernel, "-initrd", initrd, "-append",
                     arguments]
    return ours, peer


def cpu_seconds(pid):
    """What all threads of a process have used (proc(5), stat: utime and stime)."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def boot(command):
    """(seconds, processor seconds) from the process's start until each line of LINUX_LINES that it
    prints; and if one is missing, what it has said last."""
    reached, text, wanted = {}, b"", list(LINUX_LINES)
    started = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    while wanted and GIVEN_UP not in text:
        if not select.select([child.stdout], [], [], SILENT)[0]:
            break
        piece = os.read(child.stdout.fileno(), 4096)
        if not piece:
            break
        text += piece
        while wanted and wanted[0] in text:
            reached[wanted.pop(0)] = time.monotonic() - started, cpu_seconds(child.pid)
    end(child)
    given_up = re.search(GIVEN_UP + rb"[^\r\n]*", text)
    last = given_up[0] if given_up else text.rstrip().rpartition(b"\n")[2]
    return reached, last.decode(errors="replace").strip()


def boot_in_turns(commands, runs):
    """For each command the list of what boot() has returned, the runs taking turns."""
    results = [[] for _ in commands]
    for number in range(runs):
        for result, command in zip(results, commands):
            bench.say(f"Linux on KVM, run {number + 1} of {runs}, {os.path.basename(command[0])}")
            result.append(boot(command))
    return results


def add_linux_line(table, line, ours, peers):
    """One row for the seconds until the line, one for QEMU's beside them."""
    def median(runs, what):
        return statistics.median(reached[line][what] for reached, _ in runs)

    name = f"Linux to {LINUX_LINES[line]}"
    if any(line not in reached for reached, _ in ours):
        table.leave_out(name, f"not reached: {ours[-1][1]}")
        return
    table.add(name, median(ours, 0), "s", f"processor time {median(ours, 1):.2f} s")
    name = f"QEMU's microvm : ours, {LINUX_LINES[line]}"
    lost = [last for reached, last in peers if line not in reached]
    if lost or not peers:
        table.leave_out(name, f"QEMU ends before: {lost[0]}" if lost else
                        "no qemu-system-x86_64 to compare with")
        return
    table.add(name, statistics.median(peer[line][0] / our[line][0]
                                      for (our, _), (peer, _) in zip(ours, peers)), "times",
              f"QEMU {median(peers, 0):.2f} s, processor time {median(peers, 1):.2f} s")


def add_linux(table):
    commands = linux_commands(linux_folder())
    runs = bench.RUNS if has_hardware() else min(bench.RUNS, SLOW_RUNS)
    results = boot_in_turns([command for command in commands if command], runs)
    for line in LINUX_LINES:
        add_linux_line(table, line, results[0], results[1] if commands[1] else [])


# ---- all ---------------------------------------------------------------------------------------


def why_not():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm cannot be opened"
    if not os.path.exists(os.path.join(bench.BUILD, "tests/bench/kvm")):
        return "this build has no KVM"
    return None


def write(floors):
    table, why = Table(floors), why_not()
    parts = [("exits and snapshots", add_inner), ("start", add_start), ("memory", add_memory),
             ("compute kernels", add_kernels), ("Linux", add_linux)]
    for name, part in parts:
        try:
            if why:
                raise Missing(why)
            part(table)
        except Missing as reason:
            table.leave_out(name, reason)
    bench.say("")
    table.write()


if __name__ == "__main__":
    all_floors = bench.Floors()
    write(all_floors)
    for missed in all_floors.missed:
        print(f"  below: {missed}")
    sys.exit(0)
