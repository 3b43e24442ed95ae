#!/usr/bin/python3
"""make bench: the kernels of samples/bench/ in every engine, beside QEMU where it is installed.

Figures, not a test: it fails only when something cannot be run or computes something else. All
programs take turns, each figure is a median, and what counts are the ratios. README.md says how to
read them, and floors.json what must be reached; what is below is marked, nothing more.
"""

import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.environ.get("top_builddir", ".")
HERE = os.path.dirname(os.path.abspath(__file__))
VITRINE = os.path.join(BUILD, "vitrine")
SAMPLES = os.path.join(BUILD, "samples")
KERNELS = os.environ.get("BENCH_DIR") or os.path.join(SAMPLES, "bench")
RUNS = int(os.environ.get("BENCH_RUNS") or 5)
QEMU = shutil.which("qemu-system-riscv32")
QEMU_SECONDS = 300  # of a run that does not end
MODES = {"m": "M", "s": "Sv32", "hv": "hv"}
BELOW = "!"


# ---- running ------------------------------------------------------------------------------------


def run(command, seconds=None):
    """Runs to the end: exit status, what was printed, CPU seconds, peak memory in KiB, wall time."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.DEVNULL)
        limit = threading.Timer(seconds or 1e6, child.kill)
        limit.start()
        _, status, usage = os.wait4(child.pid, 0)
        limit.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    return {"status": child.returncode, "text": text, "memory": usage.ru_maxrss,
            "cpu": usage.ru_utime + usage.ru_stime, "wall": time.monotonic() - started}


def say(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def compare(names, runs=1):
    command = [VITRINE, "compare", *names, "--dir", KERNELS, "--runs", str(runs), "--json"]
    if os.environ.get("BENCH_ENGINES"):
        command += ["--engines", os.environ["BENCH_ENGINES"]]
    return run(command)


def kernel_names():
    """Of the list, as `vitrine compare --help` has it; BENCH_KERNELS may restrict it."""
    text = run([VITRINE, "compare", "--help"])["text"]
    lines = text.split("\nKernels:\n", 1)[1].split("\n\n", 1)[0].splitlines()
    known = [line.split()[0] for line in lines if line.split()[0] != "all"]
    wanted = os.environ.get("BENCH_KERNELS", "").replace(",", " ").split()
    unknown = set(wanted) - set(known)
    if unknown:
        sys.exit(f"make bench: no such kernel: {' '.join(sorted(unknown))}")
    return wanted or known


def qemu_command(path):
    return [QEMU, "-M", "virt", "-m", "64", "-nographic", "-bios", path]


def run_qemu(name, mode, checksum):
    """CPU seconds, or the text of an error; None where there is no such file."""
    path = os.path.join(KERNELS, f"{name}-{mode}.elf")
    if not QEMU or not os.path.exists(path):
        return None
    say(f"{name}: qemu, {mode}")
    result = run(qemu_command(path), QEMU_SECONDS)
    if result["status"]:
        return f"exit status {result['status']}"
    if not checksum or f"checksum {checksum}" not in result["text"]:
        return f"printed no checksum {checksum}"
    return result["cpu"]


# ---- collecting ---------------------------------------------------------------------------------


class Kernel:
    """All runs of one kernel: lists of figures by (engine, mode), and what went wrong."""

    def __init__(self, name):
        self.name = name
        self.seconds = {}
        self.exits = {}
        self.errors = []
        self.kind = self.rounds = None

    def add(self, engine, mode, seconds):
        self.seconds.setdefault((engine, mode), []).append(seconds)

    def time(self, engine, mode):
        values = self.seconds.get((engine, mode))
        return statistics.median(values) if values else None

    def of_native(self, engine, mode):
        native, seconds = self.time("native", "native"), self.time(engine, mode)
        return native / seconds if native and seconds else None

    def of_qemu(self, engine, mode):
        qemu, seconds = self.time("QEMU", "m" if mode == "m" else "s"), self.time(engine, mode)
        return qemu / seconds if qemu and seconds else None

    def rate(self, engine, mode):
        seconds = self.time(engine, mode)
        return self.rounds / seconds if self.rounds and seconds else None

    def exit_cost(self, engine):
        bare, hv, exits = self.time(engine, "s"), self.time(engine, "hv"), self.exits.get(engine, 0)
        return max(0, hv - bare) * 1e9 / exits if bare and hv and exits >= 1000 else None


def take(kernel, start_up):
    """One run of everything."""
    say(f"{kernel.name}: vitrine")
    result = compare([kernel.name])
    if result["status"] not in (0, 1):
        sys.exit(f"make bench: vitrine compare {kernel.name} fails: run it by hand")
    found = json.loads(result["text"])["kernels"][0]
    kernel.kind, kernel.rounds = found["kind"], found["rounds"]
    for row in found["rows"]:
        engine = row["engine"] or "native"
        if row["error"]:
            kernel.errors.append(f"{engine} {row['mode']}: {row['error']}")
            continue
        kernel.add(engine, row["mode"], row["seconds"])
        if row["mode"] == "hv":
            kernel.exits[engine] = row["exits"]
    for mode in ("m", "s"):
        seconds = run_qemu(kernel.name, mode, found["checksum"])
        if isinstance(seconds, str):
            kernel.errors.append(f"QEMU {mode}: {seconds}")
        elif seconds is not None:
            kernel.add("QEMU", mode, max(seconds - start_up, 1e-4))


def qemu_start_up():
    """CPU seconds that QEMU takes to begin and end: not the kernels' fault."""
    hello = os.path.join(SAMPLES, "hello.elf")
    if not QEMU or not os.path.exists(hello):
        return 0
    return statistics.median(run(qemu_command(hello), QEMU_SECONDS)["cpu"] for _ in range(3))


# ---- tables -------------------------------------------------------------------------------------


def geomean(values):
    values = [v for v in values if v]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def write_table(title, engines, modes, rows, form, width=7):
    """`rows`: pairs of a name and a function of engine and mode that gives (value, is below)."""
    columns = [(engine, mode) for engine in engines for mode in modes
               if any(row(engine, mode)[0] is not None for _, row in rows)]
    print(f"\n{title}")
    head, last = "", None
    for engine, mode in columns:
        head += f"{engine:>{width}} " if engine != last else " " * (width + 1)
        last = engine
    print(f"  {'':18} {head}".rstrip())
    print(f"  {'':18} " + "".join(f"{MODES[mode]:>{width}} " for _, mode in columns).rstrip())
    for name, row in rows:
        line = ""
        for engine, mode in columns:
            value, below = row(engine, mode)
            text = "-" if value is None else form(value)
            line += f"{text:>{width}}{BELOW if below else ' '}"
        print(f"  {name:18} {line}".rstrip())


class Floors:
    """What must be reached, from floors.json; remembers what is not."""

    def __init__(self):
        with open(os.path.join(HERE, "floors.json"), encoding="utf-8") as file:
            self.floors = json.load(file)
        self.missed = []

    def below(self, what, value, text, group, *key):
        """Whether `value` misses the floor at this place of floors.json, if there is one."""
        floor = self.floors.get(group, {})
        for part in key:
            floor = floor.get(part) if isinstance(floor, dict) else None
        if value is None or floor is None or value >= floor:
            return False
        line = f"{what}: {text(value)}, not {text(floor)}"
        if line not in self.missed:
            self.missed.append(line)
        return True

    def above(self, what, value, text, group, *key):
        """The same where less is better."""
        floor = self.floors[group]
        for part in key:
            floor = floor[part]
        if value > floor:
            self.missed.append(f"{what}: {text(value)}, not {text(floor)}")


def three(value):
    return f"{value:.3f}"


def one(value):
    return f"{value:.1f}"


def two(value):
    return f"{value:.2f}"


def millions(value):
    return f"{value / 1e6:.2f}"


def mean_row(kernels, figure, floors, group, name):
    def row(engine, mode):
        value = geomean(figure(k, engine, mode) for k in kernels)
        key = f"{engine} {mode}"
        return value, floors.below(f"{key}, {name}", value, two, group, key, name)
    return row


def write_ratios(kernels, engines, floors):
    def row_of(kernel):
        def row(engine, mode):
            value, key = kernel.of_native(engine, mode), f"{engine} {mode}"
            return value, floors.below(f"{key}, {kernel.name}", value, three, "of native", key,
                                       "each " + kernel.kind)
        return row

    rows = [(k.name, row_of(k)) for k in kernels]
    for name, kinds in (("compute, memory", ("compute", "memory")), ("call", ("call",)),
                        ("all", ("compute", "memory", "call"))):
        chosen = [k for k in kernels if k.kind in kinds]
        if len(chosen) > 1:
            rows.append((f"* {name}", mean_row(chosen, Kernel.of_native, floors, "of native",
                                               f"mean of {name}")))
    write_table("Speed as a part of native (* geometric means)", engines + ["QEMU"], MODES, rows,
                three)


def write_against_qemu(kernels, engines, floors):
    def row_of(kernel):
        def row(engine, mode):
            value, key = kernel.of_qemu(engine, mode), f"{engine} {mode}"
            return value, floors.below(f"{key}, {kernel.name}, times QEMU", value, two, "of QEMU",
                                       key, "each")
        return row

    rows = [(k.name, row_of(k)) for k in kernels]
    plain = [k for k in kernels if k.kind != "trap"]
    if len(plain) > 1:
        rows.append(("* all but traps", mean_row(plain, Kernel.of_qemu, floors, "of QEMU", "mean")))
    write_table("Times the speed of QEMU on the same file (hv beside QEMU's Sv32)", engines, MODES,
                rows, two)


def write_under_monitor(kernels, engines, floors):
    def row_of(kernel):
        def row(engine, _mode):
            hv, bare = kernel.time(engine, "hv"), kernel.time(engine, "s")
            value = bare / hv if hv and bare else None
            return value, floors.below(f"{engine} {kernel.name}, monitor by bare", value, two,
                                       "of bare", engine)
        return row

    write_table("Speed under the monitor as a part of bare Sv32", engines, ["hv"],
                [(k.name, row_of(k)) for k in kernels], two)


def write_traps(kernels, engines, floors):
    def row_of(kernel):
        def row(engine, mode):
            value, key = kernel.rate(engine, mode), f"{engine} {mode}"
            below = floors.below(f"{key}, {kernel.name}, M operations/s", value, millions,
                                 "operations per second", key, kernel.name)
            return value, below
        return row

    def cost_of(kernel):
        return lambda engine, _mode: (kernel.exit_cost(engine), False)

    write_table("Millions of operations per second", engines + ["QEMU"], ["s", "hv"],
                [(k.name, row_of(k)) for k in kernels], millions, 8)
    write_table("Nanoseconds for an exit to the monitor and back", engines, ["hv"],
                [(k.name, cost_of(k)) for k in kernels], lambda value: f"{value:.0f}", 8)


def slower_than_interp(kernels, engines):
    """An engine that a guest may be given should not lose to the plain one anywhere."""
    for kernel in kernels:
        for engine in engines:
            for mode in MODES:
                mine, plain = kernel.time(engine, mode), kernel.time("interp", mode)
                if engine != "interp" and mine and plain and mine > 1.05 * plain:
                    yield f"{engine} {mode}, {kernel.name}: slower than interp ({plain / mine:.2f})"


# ---- the rest -----------------------------------------------------------------------------------


def write_start_up(engines, floors):
    hello = os.path.join(SAMPLES, "hello.elf")
    if not os.path.exists(hello):
        return
    print("\nStart to end of `vitrine run hello`, wall time")
    for under in ("bare", "hv"):
        for engine in engines:
            command = [VITRINE, "run", "--under", under, "--engine", engine, hello]
            ms = statistics.median(run(command)["wall"] for _ in range(max(RUNS, 5))) * 1e3
            floors.above(f"{engine} {under}, start-up in ms", ms, one, "start-up ms")
            print(f"  {engine:10} {under:5} {ms:6.1f} ms")


def write_minios(engines):
    minios, disk = (os.path.join(SAMPLES, "minios", name) for name in ("minios.elf", "fs.img"))
    if not os.path.exists(minios):
        return
    command = [VITRINE, "run", minios, "--disk", disk, "--disk-readonly", "--max-instructions"]
    print("\nminios from reset to its prompt, 64 MiB: peak memory with the guest's touched pages")
    for under in ("bare", "hv"):
        for engine in engines:
            how = ["2300000", "--under", under, "--engine", engine, "--json"]
            result = run(command + how)
            report = json.loads(result["text"])
            print(f"  {engine:10} {under:5} {result['memory'] / 1024:6.1f} MiB "
                  f"{report['instructions']:10} instructions {report['exits']:6} "
                  f"{'exits' if under == 'hv' else 'traps'} {report['mips']:6.0f} M/s")


def linux_folder():
    """Where samples/linux/build.sh has built a kernel, as tests/e2e/linux.sh looks for it."""
    source = os.path.dirname(os.path.dirname(HERE))
    for folder in (os.environ.get("VITRINE_LINUX"), os.path.join(SAMPLES, "linux"),
                   os.path.join(source, "build", "samples", "linux")):
        if folder and os.path.exists(os.path.join(folder, "Image")):
            return folder
    return None


def write_linux(engines):
    folder = linux_folder()
    print("\nLinux from reset to power-off, CPU seconds of all")
    if not folder:
        print("  no kernel: build one with samples/linux/build.sh")
        return
    image, disk = os.path.join(folder, "Image"), os.path.join(folder, "disk.img")
    for under in ("bare", "hv"):
        for engine in engines:
            command = [VITRINE, "run", image, "--disk", disk, "--disk-readonly", "--under", under,
                       "--engine", engine, "--json", "--max-instructions", "4G"]
            results = [run(command, QEMU_SECONDS) for _ in range(RUNS)]
            try:
                report = json.loads(results[0]["text"])
            except ValueError:
                print(f"  {engine:10} {under:5} error: exit status {results[0]['status']}")
                continue
            seconds = statistics.median(r["cpu"] for r in results)
            print(f"  {engine:10} {under:5} {seconds:6.2f} s {report['instructions']:12} instructions "
                  f"{report['exits']:8} {'exits' if under == 'hv' else 'traps'}")
    firmware = os.path.join(SAMPLES, "firmware/firmware.elf")
    if QEMU and os.path.exists(firmware):
        command = qemu_command(firmware) + [
            "-cpu", "rv32,sstc=off", "-kernel", image, "-global", "virtio-mmio.force-legacy=false", "-drive",
            f"if=none,id=d,file={disk},format=raw,readonly=on", "-device",
            "virtio-blk-device,drive=d"]
        results = [run(command, QEMU_SECONDS) for _ in range(RUNS)]
        if any("Power down" not in r["text"] for r in results):
            print("  QEMU             error: has not come to its end")
        else:
            print(f"  QEMU             {statistics.median(r['cpu'] for r in results):6.2f} s")


def write_missed(floors, kernels, engines):
    missed = floors.missed + list(slower_than_interp(kernels, engines))
    print(f"\n{len(missed)} below their floors (marked {BELOW}; see tests/bench/README.md)")
    for line in missed:
        print(f"  {line}")


# Figures in the lines of bench/time that have a goal in floors.json: the line's first word, where the
# number is, and the goal's name.
TIME_GOALS = [
    ("back", r"([\d.]+) ms a step", "step back ms"),
    ("back", r"([\d.]+) ms the next", "next step back ms"),
    ("back", r"([\d.]+) ms a million", "step back ms"),
    ("snapshot", r"(\d+) us", "snapshot us"),
    ("restore", r"(\d+) us", "restore us"),
    ("layers", r": ([\d.]+)$", "layers"),
    ("cost", r"tracked \+?(-?[\d.]+) %", "tracked %"),
    ("cost", r"history \+?(-?[\d.]+) %", "history %"),
]


def compare_time(line, floors):
    """Marks the line if one of its figures misses its goal."""
    words = line.split()
    missed = len(floors.missed)
    for first, pattern, goal in TIME_GOALS:
        found = re.search(pattern, line) if words and words[0] == first else None
        if found:
            floors.above(f"{' '.join(words[:3])}, {goal}", float(found.group(1)), one, "time", goal)
    return line + (f"  {BELOW}" if len(floors.missed) > missed else "")


def write_time(floors):
    """What going back in time costs: the lines of bench/time, if it was built."""
    path = os.path.join(BUILD, "tests", "bench", "time")
    if not os.path.exists(path):
        return
    say("going back in time")
    seconds = os.environ.get("BENCH_BACK_SECONDS") or "60"
    guests = [os.path.join(KERNELS, f"{name}-s.elf") for name in ("fib", "sieve", "memcopy")]
    guests = [guest for guest in guests if os.path.exists(guest)]
    minios = os.path.join(SAMPLES, "minios", "minios.elf")
    busy = guests[1:] + [minios] * os.path.exists(minios)
    results = [run([path, seconds] + guests), run([path, seconds, "back"] + busy)]
    say("")
    print("\nGoing back in time (processor time)")
    for result in results:
        for line in result["text"].splitlines():
            print(compare_time(line, floors))
        if result["status"]:
            print(f"error: {result['status']}")


def write_protection(floors, records):
    """What a backup costs minios: bench/protect, if it was built."""
    path = os.path.join(BUILD, "tests", "bench", "protect")
    if not os.path.exists(path) or not os.path.exists(os.path.join(SAMPLES, "minios/minios.elf")):
        return
    say("protection")
    result = run([path, "--json", "25"])
    say("")
    print("\nProtection of minios by a backup on this host, 25 epochs a second, medians of turns")
    if result["status"]:
        print(f"error: {result['status']}")
        return
    report = json.loads(result["text"])
    records.append({"name": "protect", **report})
    for how in ("", ", by processor time"):
        alone, protected = (statistics.median(report[name + how]) for name in ("alone", "protected"))
        cost = 100 * (1 - protected / alone)
        print(f"  {alone:6.1f} M/s alone {protected:6.1f} protected: costs {cost:.1f} %{how}")
    floors.above("minios, protected, cost in %", cost, one, "protection %")
    print(f"  {report['pages']:.0f} pages an epoch, {report['pause ms']:.2f} ms of pause "
          f"(at most {report['longest pause ms']:.1f}), {report['delay ms']:.1f} ms to the "
          "acknowledgement")


def write_disk():
    """Disks in layers beside qemu-img: the lines of bench/disk, if it was built."""
    path = os.path.join(BUILD, "tests", "bench", "disk")
    if not os.path.exists(path):
        return
    say("disks in layers")
    result = run([path, str(RUNS)])
    say("")
    print("\nDisks in layers, processor time")
    print(result["text"].rstrip() if not result["status"] else f"error: {result['status']}")


def write_migration(floors):
    """How long a guest stands when it moves: the lines of bench/migrate, and its medians."""
    path = os.path.join(BUILD, "tests", "bench", "migrate")
    found = []
    if not os.path.exists(path):
        return found
    say("moving a guest")
    result = run([path])
    say("")
    print("\nMigration")
    print(result["text"].rstrip() if not result["status"] else f"error: {result['status']}")
    for how, ms in re.findall(r"^ *(\S+) median downtime ([\d.]+) ms", result["text"], re.M):
        floors.above(f"{how}, a guest that moves stands, in ms", float(ms), two, "downtime ms")
        found.append({"name": how, "kind": "migration", "downtime ms": float(ms)})
    demands = re.search(r"demands (\d+), each waited (\d+) us", result["text"])
    if demands:
        found[-1].update({"demands": int(demands[1]), "demand us": int(demands[2])})
    return found


def main():
    import kvm  # which imports this file
    kernels = [Kernel(name) for name in kernel_names()]
    if not os.path.isdir(KERNELS) or not kernels:
        sys.exit("make bench needs the guests: install gcc-riscv64-unknown-elf")
    start_up = qemu_start_up()
    started = time.monotonic()
    for number in range(RUNS):
        for kernel in kernels:
            say(f"run {number + 1} of {RUNS}, {kernel.name}")
            take(kernel, start_up)
    say("")
    version = run([VITRINE, "--version"])["text"].strip()
    peer = run([QEMU, "--version"])["text"].splitlines()[0] if QEMU else "no QEMU installed"
    print(f"{version}; {peer}")
    print(f"CPU time, medians of {RUNS} runs in turns ({time.monotonic() - started:.0f} s in all)")
    if start_up:
        print(f"QEMU's {start_up * 1e3:.0f} ms to start and end are taken off its times")
    engines = list(dict.fromkeys(e for k in kernels for e, m in k.seconds if m in ("s", "hv")
                                 and e != "QEMU"))
    floors = Floors()
    plain = [k for k in kernels if k.kind != "trap"]
    traps = [k for k in kernels if k.kind == "trap"]
    if plain:
        write_ratios(plain, engines, floors)
        write_under_monitor(plain, engines, floors)
    if QEMU:
        write_against_qemu(kernels, engines, floors)
    if traps:
        write_traps(traps, engines, floors)
    write_start_up(engines, floors)
    write_minios(engines)
    write_linux(engines)
    write_time(floors)
    write_disk()
    records = write_migration(floors)
    write_protection(floors, records)
    kvm.write(floors)
    write_missed(floors, kernels, engines)
    if os.environ.get("BENCH_JSON"):
        with open(os.environ["BENCH_JSON"], "w", encoding="utf-8") as file:
            json.dump([{"name": k.name, "kind": k.kind, "rounds": k.rounds, "exits": k.exits,
                        "seconds": {f"{e} {m}": v for (e, m), v in k.seconds.items()}}
                       for k in kernels] + records, file, indent=2)
    errors = [f"{k.name}, {error}" for k in kernels for error in dict.fromkeys(k.errors)]
    for line in errors:
        print(f"error: {line}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
