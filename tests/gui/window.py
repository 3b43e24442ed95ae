#!/usr/bin/python3
"""The real window, driven as a person would, and read back.

Under a display of its own (Xvfb) and a bus of its own, vitrine-gui opens minios under the monitor.
The test presses its buttons and reads its labels through the accessibility bus, types into the
console with xdotool, and reads the console's text from the copy that --console-log makes.
Everything is polled for, with a generous limit; nothing is measured.

Prints TAP. Skips where a tool is missing that only tests need.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("top_builddir", ".")
PROGRAM = os.path.join(BUILD, "vitrine-gui")
GUEST = os.path.join(BUILD, "samples/minios/minios.elf")
DISK = os.path.join(BUILD, "samples/minios/fs.img")
HELLO = os.path.join(BUILD, "samples/hello.elf")
LIMIT = 40  # seconds that anything may take on a busy machine


def skip(why):
    print("1..0 # SKIP " + why, flush=True)
    sys.exit(0)


def outer():
    """Starts display and bus, and this file again inside of them."""
    for tool in ("Xvfb", "dbus-run-session", "xdotool"):
        if not shutil.which(tool):
            skip(tool + " is missing")
    if not os.path.exists("/usr/libexec/at-spi-bus-launcher"):
        skip("at-spi2-core is missing")
    try:
        import gi
        gi.require_version("Atspi", "2.0")
    except (ImportError, ValueError):
        skip("python3-gi or gir1.2-atspi-2.0 is missing")
    for path in (PROGRAM, GUEST, DISK, HELLO):
        if not os.path.exists(path):
            skip(path + " was not built")
    with tempfile.TemporaryDirectory() as home:
        ready, tell = os.pipe()
        # A server that resets when its last client goes turns away who comes at that moment.
        display = subprocess.Popen(["Xvfb", "-displayfd", str(tell), "-screen", "0",
                                    "1280x720x24", "-noreset", "-nolisten", "tcp"],
                                   pass_fds=[tell], stderr=subprocess.DEVNULL)
        os.close(tell)
        with os.fdopen(ready) as answer:
            number = answer.readline().strip()
        if not number:
            skip("Xvfb does not start")
        os.chmod(home, 0o700)
        environment = dict(os.environ, DISPLAY=":" + number, HOME=home, XDG_RUNTIME_DIR=home,
                           XDG_STATE_HOME=home, GDK_BACKEND="x11", GSK_RENDERER="cairo",
                           GSETTINGS_BACKEND="memory",
                           VITRINE_WINDOW_TEST=home)
        environment.pop("WAYLAND_DISPLAY", None)
        environment.pop("GTK_A11Y", None)
        try:
            status = subprocess.call(["dbus-run-session", "--", sys.executable,
                                      os.path.abspath(__file__)], env=environment,
                                     timeout=10 * LIMIT)
        finally:
            display.terminate()
            display.wait()
    sys.exit(status)


# ---- inside ---------------------------------------------------------------------------------

def poll(what, probe):
    """The first true answer of probe(), or an error that names what was waited for."""
    from gi.repository import GLib
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            answer = probe()
        except GLib.Error:  # it went away while we looked
            answer = None
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError("waited in vain for " + what)


def everything(node):
    """The node and all below it."""
    yield node
    for i in range(node.get_child_count()):
        child = node.get_child_at_index(i)
        if child:
            yield from everything(child)


class Window:
    """One run of the program."""

    def __init__(self, home, *arguments):
        from gi.repository import Atspi
        self.atspi = Atspi
        self.log = os.path.join(home, "console-%d.txt" % time.monotonic_ns())
        # GTK's libraries leak a little at exit (font cache, unloaded modules): no leak check here.
        environment = dict(os.environ, G_DEBUG="fatal-warnings")
        environment.setdefault("ASAN_OPTIONS", "detect_leaks=0")
        self.process = subprocess.Popen([PROGRAM, "--size", "1280x720", "--console-log", self.log,
                                         *arguments], env=environment)
        self.app = poll("the window", self.find_app)
        self.nodes = {}

    def find_app(self):
        if self.process.poll() is not None:
            raise AssertionError("the program ended with %d" % self.process.returncode)
        desktop = self.atspi.get_desktop(0)
        for i in range(desktop.get_child_count()):
            app = desktop.get_child_at_index(i)
            if app and app.get_process_id() == self.process.pid and app.get_child_count():
                return app
        return None

    def find(self, name, role=None):
        """A widget that keeps its name; it is looked for once."""
        for node in everything(self.app) if (name, role) not in self.nodes else ():
            if node.get_name() == name and role in (None, node.get_role_name()):
                self.nodes[name, role] = node
                break
        node = self.nodes.get((name, role))
        if node:
            node.clear_cache()
        return node

    def is_enabled(self, name):
        node = self.find(name, "push button")
        return node and node.get_state_set().contains(self.atspi.StateType.SENSITIVE)

    def press(self, name):
        poll(name + " to be enabled", lambda: self.is_enabled(name))
        button = self.find(name, "push button")
        self.atspi.Action.do_action(button, 0)

    def texts(self, of=None):
        top = self.find(of) if of else self.app
        if top:
            top.clear_cache()
        return [node.get_name() for node in everything(top) if node.get_name()] if top else []

    def says(self, pattern, of=None):
        """Waits until a text in the window matches; returns the match."""
        def look():
            for text in self.texts(of):
                match = re.search(pattern, text)
                if match:
                    return match
            return None
        return poll("the text /%s/ in %s" % (pattern, of or "the window"), look)

    def console(self):
        try:
            with open(self.log, errors="replace") as file:
                return file.read().replace("\r", "")
        except FileNotFoundError:
            return ""

    def key(self, *keys):
        subprocess.check_call(["xdotool", "key", *keys])

    def type(self, text):
        subprocess.check_call(["xdotool", "type", "--delay", "30", text])

    def close(self):
        self.key("ctrl+shift+q")
        poll("the program to end", lambda: self.process.poll() is not None)
        assert self.process.returncode == 0, "exit status %d" % self.process.returncode

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


def count(window, what):
    match = window.says(r"([\d,]+) %ss?\b" % what, of="Status")
    return int(match.group(1).replace(",", ""))


def steps_to_an_exit(w):
    w.says(r"^before the first instruction", of="Status")
    w.says(r"^No exits yet", of="Exit log")
    w.press("Step to exit")
    w.says(r"^ +1 80400000 shadow fault +\(fetch\)", of="Exit log")
    w.says(r"^after VM exit 1$", of="Status")
    assert count(w, "exit") == 1


def steps_one_instruction(w):
    before = count(w, "guest instruction")
    w.key("F11")
    poll("one more instruction", lambda: count(w, "guest instruction") == before + 1)


def follows_the_translation(w):
    w.says(r"^Translation of guest-virtual address 0x804\w+ for a (fetch|read|write)$")


def steps_by_key(w):
    w.says("^Stopped$", of="Status")
    before = count(w, "exit")
    w.key("F10")
    poll("one more exit than %d" % before, lambda: count(w, "exit") == before + 1)


def runs_to_the_shell(w):
    w.press("Run")
    w.says("^Running$", of="Status")
    poll("the shell's prompt", lambda: w.console().rstrip(" ").endswith("$"))


def types_into_the_console(w):
    start = len(w.console())
    w.type("ls")
    w.key("Return")
    poll("the listing", lambda: re.search(r"ls\n(.*\n)*README\n(.*\n)*\$ $", w.console()[start:]))


def pauses(w):
    w.press("Pause")
    w.says("^Stopped$", of="Status")
    frozen = count(w, "guest instruction")
    time.sleep(0.3)
    assert count(w, "guest instruction") == frozen, "the guest goes on"
    assert count(w, "exit") > 100


def resets(w):
    w.press("Reset")
    w.says("^Ready$", of="Status")
    assert count(w, "guest instruction") == 0
    w.says(r"^No exits yet", of="Exit log")


def closes(w):
    w.close()


def ends(home):
    w = Window(home, HELLO)
    try:
        w.press("Run")
        w.says("^Ended$", of="Status")
        w.says("^the guest switched off with exit code 0$", of="Status")
        poll("hello's greeting", lambda: "glass case" in w.console())
        assert not w.is_enabled("Run") and w.is_enabled("Reset")
        w.close()
    finally:
        w.kill()


def refuses_a_bad_guest(home):
    w = Window(home, PROGRAM)
    try:
        w.says(re.escape(PROGRAM) + ": ")
        w.says("^No guest yet$")
        w.close()
    finally:
        w.kill()


def runs_bare(home):
    w = Window(home, "--bare", "--disk", DISK, GUEST)
    try:
        w.says("^on the bare machine$")
        w.press("Step to exit")
        w.says(r"^ +1 [0-9a-f]{8} (exception|interrupt)", of="Exit log")
        w.says("^after trap 1$", of="Status")
        w.close()
    finally:
        w.kill()


DEMO = [steps_to_an_exit, steps_one_instruction, follows_the_translation, steps_by_key,
        runs_to_the_shell, types_into_the_console, pauses, resets, closes]
OTHERS = [ends, refuses_a_bad_guest, runs_bare]


def inner(home):
    import gi
    gi.require_version("Atspi", "2.0")
    print("1..%d" % (len(DEMO) + len(OTHERS)), flush=True)
    failed = False
    number = 0

    def run(test, argument):
        nonlocal failed, number
        number += 1
        name = test.__name__.replace("_", " ")
        try:
            test(argument)
            print("ok %d %s" % (number, name), flush=True)
        except Exception as problem:  # a test must never end the others
            failed = True
            print("not ok %d %s" % (number, name))
            print("# %s: %s" % (type(problem).__name__, problem), flush=True)

    window = Window(home, "--disk", DISK, GUEST)
    try:
        for test in DEMO:
            run(test, window)
    finally:
        window.kill()
    for test in OTHERS:
        run(test, home)
    sys.exit(failed)


if "VITRINE_WINDOW_TEST" in os.environ:
    inner(os.environ["VITRINE_WINDOW_TEST"])
else:
    outer()
