#!/usr/bin/python3
"""The real window, driven as a person would, and read back.

Under a display of its own (Xvfb) and a bus of its own, vitrine-gui opens minios under the monitor.
Where there is /dev/kvm it opens x86 guests, too.
The test presses its buttons and reads its labels through the accessibility bus, types into the
console with xdotool, and reads the console's text from the copy that --console-log makes.
Everything is polled for, with a generous limit; nothing is measured.

Prints TAP. Skips where a tool is missing that only tests need.
"""
import faulthandler
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.environ.get("top_builddir", ".")
PROGRAM = os.path.join(BUILD, "vitrine-gui")
COMMAND = os.path.join(BUILD, "vitrine")
GUEST = os.path.join(BUILD, "samples/minios/minios.elf")
DISK = os.path.join(BUILD, "samples/minios/fs.img")
HELLO = os.path.join(BUILD, "samples/hello.elf")
LONGMODE = os.path.join(BUILD, "samples/x86/longmode/longmode.elf")
CHAOS = os.path.join(BUILD, "samples/x86/chaos.elf")
LIMIT = 120  # seconds that anything may take on a busy machine
TOTAL = 800  # and all of it: after that, the test says where it stands and ends


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
        # A server that resets when its last client goes turns away who comes at that moment; and
        # keys must not repeat (-r) because a busy host lets them up late.
        display = subprocess.Popen(["Xvfb", "-displayfd", str(tell), "-screen", "0",
                                    "1280x720x24", "-noreset", "-r", "-nolisten", "tcp"],
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
                                      os.path.abspath(__file__)], env=environment)
        finally:
            display.terminate()
            display.wait()
    sys.exit(status)


# ---- inside ---------------------------------------------------------------------------------

patience = LIMIT


def poll(what, probe):
    """The first true answer of probe(), or an error that names what was waited for.

    Once something did not come, what builds upon it will not come either: that is not waited for
    as long."""
    global patience
    from gi.repository import GLib
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            answer = probe()
        except GLib.Error:  # it went away while we looked
            answer = None
        if answer:
            return answer
        time.sleep(0.05)
    patience = LIMIT / 20
    raise AssertionError("waited in vain for " + what)


def everything(node, lists=True):
    """The node and all below it; lists, of which most rows are in, only if they are wanted."""
    yield node
    if not lists and node.get_role_name() == "list":
        return
    for i in range(node.get_child_count()):
        child = node.get_child_at_index(i)
        if child:
            yield from everything(child, lists)


class Window:
    """One run of the program."""

    def __init__(self, home, *arguments):
        from gi.repository import Atspi
        self.atspi = Atspi
        self.home = home
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

    def known(self, name, role):
        """A widget that was found before, if it has kept its name."""
        from gi.repository import GLib
        node = self.nodes.get((name, role))
        try:
            if node:
                node.clear_cache()
            return node if node and node.get_name() == name else None
        except GLib.Error:  # it is gone
            return None

    def find(self, name, role=None):
        node = self.known(name, role)
        if not node:
            node = next((n for n in everything(self.app) if n.get_name() == name and
                         role in (None, n.get_role_name())), None)
            self.nodes[name, role] = node
        return node

    def is_enabled(self, name):
        node = self.find(name, "push button")
        return node and node.get_state_set().contains(self.atspi.StateType.SENSITIVE)

    def shown(self, name, role=None):
        """Is there such a widget? Unlike find(), looks each time; hidden ones are left out."""
        self.app.clear_cache()
        return any(node.get_name() == name and role in (None, node.get_role_name())
                   for node in everything(self.app))

    def press_until(self, name, pattern, of):
        """Presses the button again if the text is not there yet."""
        if any(re.search(pattern, text) for text in self.texts(of)):
            return True
        if self.is_enabled(name):
            self.press(name)
        return False

    def select_tab(self, name):
        tab = poll("the tab " + name, lambda: self.find(name, "page tab"))
        tabs = tab.get_parent()

        def select():  # hidden tabs count, but are not listed
            for i in range(16):
                self.atspi.Selection.select_child(tabs, i)
                tab.clear_cache()
                if tab.get_state_set().contains(self.atspi.StateType.SELECTED):
                    return True
            return False
        poll("the tab %s to come up" % name, select)

    def press(self, name):
        poll(name + " to be enabled", lambda: self.is_enabled(name))
        button = self.find(name, "push button")
        self.atspi.Action.do_action(button, 0)

    def texts(self, of=None):
        top = self.find(*((of,) if isinstance(of, str) else of)) if of else self.app
        if top:
            top.clear_cache()
        return [node.get_name() for node in everything(top, lists=of is not None)
                if node.get_name()] if top else []

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
        subprocess.check_call(["xdotool", "key", *keys], timeout=LIMIT)

    def type(self, text):
        subprocess.check_call(["xdotool", "type", "--delay", "30", text], timeout=LIMIT)

    def close(self):
        self.key("ctrl+shift+q")
        poll("the program to end", lambda: self.process.poll() is not None)
        assert self.process.returncode == 0, "exit status %d" % self.process.returncode

    def explain(self):
        """What the log should tell of a window that did not do what was expected."""
        print("# the program " + ("runs" if self.process.poll() is None else
                                  "has ended with %d" % self.process.returncode))
        try:
            for text in dict.fromkeys(self.texts()):
                if not text.startswith("Gtk"):
                    print("# it shows: " + text.replace("\n", " ")[:200])
        except Exception as problem:  # a window that cannot be asked is what we wanted to know
            print("# it cannot be asked: %s" % problem)
        sys.stdout.flush()

    def kill(self):
        if sys.exc_info()[0]:
            self.explain()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


def own_disk(home):
    """Other tests run at the same time, and a disk that is written to has one user."""
    return shutil.copyfile(DISK, os.path.join(home, "fs.img"))


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


# ---- time -----------------------------------------------------------------------------------

def register(w, name):
    """The guest's register, as the pane shows it now."""
    return w.says(r"\b%s +([0-9a-f]{8})\b" % name, of=("Registers", "list")).group(1)


def here(w):
    """Where the ruler says that the guest stands: instruction, and of how many."""
    w.find("Time", "slider").clear_cache()
    text = w.find("Time", "slider").get_description()
    match = re.match(r"Instruction ([\d,]+)(?: of ([\d,]+): in the past|: the present)$", text)
    numbers = [int(n.replace(",", "")) for n in match.groups() if n]
    return numbers[0], numbers[-1]


def steps_back(w):
    """Each step back shows the registers that there were."""
    seen = []
    for _ in range(3):
        before = count(w, "guest instruction")
        seen.append((before, register(w, "pc"), register(w, "sp"), register(w, "a0")))
        w.press("Step")
        poll("a step", lambda: count(w, "guest instruction") == before + 1)
    for number, pc, sp, a0 in reversed(seen):
        w.press("Step back")
        poll("a step back", lambda: count(w, "guest instruction") == number)
        w.says("^In the past$", of="Status")
        w.says(r"instruction [\d,]+ of [\d,]+: in the past; run goes on as recorded$", of="Status")
        poll("the registers of that moment", lambda: (register(w, "pc"), register(w, "sp"),
                                                      register(w, "a0")) == (pc, sp, a0))


def steps_back_by_key(w):
    before = count(w, "guest instruction")
    w.key("shift+F11")
    poll("a step back", lambda: count(w, "guest instruction") == before - 1)


def runs_back_to_an_exit(w):
    exits = count(w, "exit")
    w.press("Back to exit")
    poll("an exit before", lambda: count(w, "exit") <= exits)
    w.says(r"^after VM exit [\d,]+; instruction", of="Status")
    w.says(r"^In the past$", of="Status")


def goes_to_an_instruction(w):
    w.key("ctrl+shift+g")
    poll("the entry", lambda: w.find("Go to instruction", "text"))
    w.type("12,345")
    w.key("Return")
    poll("instruction 12,345", lambda: count(w, "guest instruction") == 12345)
    poll("the ruler", lambda: here(w)[0] == 12345)
    assert here(w)[1] > 100000


def moves_on_the_ruler(w):
    """The keys of a slider, on the ruler; the last of many is where it ends."""
    w.key("Tab")
    poll("the focus", lambda: w.find("Time", "slider").get_state_set().contains(
        w.atspi.StateType.FOCUSED))
    end = here(w)[1]
    w.key("Home")
    poll("the beginning", lambda: here(w)[0] == 0 and count(w, "guest instruction") == 0)
    assert not w.is_enabled("Step back"), "there is nothing before the beginning"
    w.key("Right", "Right", "Right", "Right", "Right")
    poll("five hundredths", lambda: count(w, "guest instruction") == 5 * (end // 100))
    w.key("ctrl+Left")
    poll("one instruction less", lambda: count(w, "guest instruction") == 5 * (end // 100) - 1)
    w.key("End")
    poll("the present", lambda: here(w) == (end, end))
    w.says("^Stopped$", of="Status")


def asks_who_wrote(w):
    """The word at the top of the stack was stored there by an instruction."""
    w.key("ctrl+shift+l")
    poll("the entry", lambda: w.find("Show memory at", "text"))
    w.says(r"^[0-9a-f]{8} ", of=("Memory", "list"))
    w.key("ctrl+a")
    w.type("proc_scheduler")
    w.key("Return")
    before = count(w, "guest instruction")
    w.press("Who wrote this?")  # nobody: it was loaded
    poll("the beginning", lambda: count(w, "guest instruction") == 0)
    w.key("ctrl+shift+g")
    w.type(str(before))
    w.key("Return")
    poll("the present", lambda: count(w, "guest instruction") == before)
    w.key("ctrl+shift+l")
    w.key("ctrl+a")
    w.type("%08x" % (int(register(w, "sp"), 16) & ~3))
    w.key("Return")
    w.press("Who wrote this?")
    w.says(r"^watchpoint: write", of="Status")
    w.says(r"\u25b6 [0-9a-f]{8} +[0-9a-f]{8} +(sw|sh|sb|amo|sc)", of=("Instructions", "list"))


def keeps_a_simulated_guest(w):
    number, pc = count(w, "guest instruction"), register(w, "pc")
    w.key("ctrl+shift+s")
    w.says(r"^after exit \d+ .* exits   . here$", of=("Snapshots", "list"))
    w.press("Step to exit")
    poll("another instruction", lambda: count(w, "guest instruction") > number)
    w.press("Restore")
    w.says("^back at snapshot .after exit", of="Status")
    poll("the registers of the snapshot", lambda: register(w, "pc") == pc)
    assert count(w, "guest instruction") == number


def compares_two_snapshots(w):
    """The one that was taken just now differs from its parent by what the exit has changed."""
    number = count(w, "guest instruction")
    w.press("Step to exit")
    poll("another instruction", lambda: count(w, "guest instruction") > number)
    w.key("ctrl+shift+s")
    w.says("^\u2514\u2500 after exit .* here$", of=("Snapshots", "list"))
    compare = poll("the button", lambda: w.find("Compare"))
    w.atspi.Action.do_action(compare, 0)
    w.says(r"^after exit \d+ . after exit \d+$", of=("Differences", "list"))
    w.says(r"^\d+ values?, \d+ pages? of memory, 0 blocks of the disk$", of=("Differences", "list"))
    w.says("^hart$", of=("Differences", "list"))
    w.atspi.Action.do_action(compare, 0)
    poll("the list alone", lambda: not w.shown("Compare with"))
    w.press("Restore")


def shows_the_layers(w):
    """Under the restored snapshot nothing was written: the top does not have the page."""
    w.select_tab("Layers")
    layers = poll("the drawing", lambda: w.find("Layers of memory"))
    poll("the answer", lambda: (layers.clear_cache() or re.match(
        r"Page 0x[0-9a-f]{8}: the \d+(st|nd|rd|th) of \d+ layers answers$",
        layers.get_description())))
    w.select_tab("Exits")


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


def opens_a_session_directory(home):
    """It goes on from the newest snapshot, and has those that are taken here."""
    kept = os.path.join(home, "kept")
    subprocess.check_call([COMMAND, "snapshot", "create", kept, "start", HELLO, "--at", "10"],
                          stdout=subprocess.DEVNULL, timeout=LIMIT)
    w = Window(home, kept)
    try:
        w.says("^back at snapshot .start.$", of="Status")
        w.press("Step")
        poll("a step", lambda: count(w, "guest instruction") == 11)
        w.key("ctrl+shift+s")
        w.says("^\u2514\u2500 after exit .* here$", of=("Snapshots", "list"))
        assert os.path.exists(os.path.join(kept, "snapshot-2")), "the snapshot is not there"
        w.close()
    finally:
        w.kill()


def refuses_a_torn_guest(home):
    """The file is named; so it is with any guest that cannot be opened."""
    newest = os.path.join(home, "kept", "snapshot-2")
    os.truncate(newest, 1000)
    w = Window(home, os.path.dirname(newest))
    try:
        w.says("(?s)" + re.escape(newest) + ": torn.*vitrine snapshot check")
        w.says("^No guest yet$")
        w.close()
    finally:
        w.kill()


def runs_bare(home):
    w = Window(home, "--bare", "--disk", own_disk(home), GUEST)
    try:
        w.says("^on the bare machine$")
        w.press("Step to exit")
        w.says(r"^ +1 [0-9a-f]{8} (exception|interrupt)", of="Exit log")
        w.says("^after trap 1$", of="Status")
        w.close()
    finally:
        w.kill()


# ---- other hosts ----------------------------------------------------------------------------

class Other:
    """A vitrine that stands for another host, once it waits there."""

    def __init__(self, home, *arguments):
        self.log = os.path.join(home, "other.txt")
        with open(self.log, "wb") as file:
            self.process = subprocess.Popen([COMMAND, *arguments, GUEST], stderr=file,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        poll("the other host", lambda: "waiting for a guest" in open(self.log).read())

    def ends(self):
        poll("the other host's end", lambda: self.process.poll() is not None)
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait()


PROTECTION = "The guest\u2019s protection by another host"
MIGRATION = "The guest\u2019s move to another host"


def says_of_hosts(w, name, pattern):
    drawing = poll("the drawing", lambda: w.find(name))
    poll("the drawing to say /%s/" % pattern, lambda: (
        drawing.clear_cache() or re.match(pattern, drawing.get_description())))


def secret_file(home):
    path = os.path.join(home, "secret")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write("what both hosts know\n")
    return path


class Sloth:
    """A host that takes a call, and needs ages for its greeting."""

    def __init__(self, path):
        self.path = path
        self.called, self.done = threading.Event(), threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        caller, _ = self.listener.accept()
        self.called.set()
        for _ in range(20):  # fewer bytes than a message begins with, each of which gives it time
            try:
                caller.send(b"\0")
            except OSError:  # the caller has given up
                break
            if self.done.wait(3):
                break
        caller.close()
        self.listener.close()


def cannot_go_back_without_history(w):
    w.press("Step")
    w.says("^Stopped$", of="Status")
    assert not w.is_enabled("Step back") and not w.is_enabled("Back to exit")


def cancels_a_move(w):
    sloth = Sloth(os.path.join(w.home, "sloth"))
    try:
        w.key("ctrl+shift+m")
        w.type("unix:" + sloth.path)
        w.key("Return")
        w.press("Cancel")
        w.says("^it was called off$", of="Other hosts")
        says_of_hosts(w, MIGRATION, "The guest has stayed here: it was not moved to unix:")
    finally:
        sloth.done.set()


def closes_during_a_move(w):
    """The window goes at once, though the move takes its time; the program follows."""
    sloth = Sloth(os.path.join(w.home, "another"))
    try:
        w.key("ctrl+a")
        w.type("unix:" + sloth.path)
        w.key("Return")
        poll("the call", sloth.called.is_set)
        w.key("ctrl+shift+q")
        poll("the window to go", lambda: not w.find_app())
    finally:
        sloth.done.set()
    poll("the program to end", lambda: w.process.poll() is not None)
    assert w.process.returncode == 0, "exit status %d" % w.process.returncode


def protects_and_moves_a_guest(home):
    """Protected, its backup lost and found, released, and moved."""
    there, fence = "unix:" + os.path.join(home, "b"), os.path.join(home, "fence")
    w = Window(home, GUEST)
    other = None
    try:
        w.press("Run")
        poll("the shell's prompt", lambda: w.console().rstrip(" ").endswith("$"))
        w.key("ctrl+shift+b")
        says_of_hosts(w, PROTECTION, "This guest is not protected$")
        w.key("Return")
        w.says("^The address is missing", of="Other hosts")
        w.type(there)
        w.key("Tab")
        w.type(fence)
        w.key("Return")
        w.says("history and its snapshots will be gone", of="Other hosts")
        w.press("Protect")
        w.says("^Release$", of="Other hosts")
        other = Other(home, "backup", there, "--fence", fence)
        says_of_hosts(w, PROTECTION, r"Protected by unix:.*: it has epoch \d+$")
        other.kill()
        says_of_hosts(w, PROTECTION, "The backup is lost: the guest runs unprotected$")
        w.says("goes on unprotected")
        other = Other(home, "backup", there, "--fence", fence)
        says_of_hosts(w, PROTECTION, r"Protected by unix:.*: it has epoch \d+$")
        w.press("Release")
        says_of_hosts(w, PROTECTION, "No longer protected")
        assert other.ends() == 0, "the backup has not ended in order"
        w.key("ctrl+shift+m")
        says_of_hosts(w, MIGRATION, "This guest has not moved$")
        w.key("Return")
        w.says("No such file or directory$", of="Other hosts")
        other = Other(home, "run", "--incoming", there, "--secret", secret_file(home))
        w.press("Move")
        says_of_hosts(w, MIGRATION, "The guest has stayed here: it was not moved to unix:")
        w.key("Tab")
        w.type(secret_file(home))
        w.key("Return")
        says_of_hosts(w, MIGRATION, r"Moved to unix:.*: the guest stood for [\d.]+ ms$")
        w.says("^Ended$", of="Status")
        w.close()
    finally:
        w.kill()
        if other:
            other.kill()


# ---- x86 guests -----------------------------------------------------------------------------

class Skip(Exception):
    pass


def need_kvm():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("/dev/kvm cannot be used")
    if not os.path.exists(LONGMODE):
        raise Skip(LONGMODE + " was not built")


def opens_an_x86_guest(w):
    """It is recognized by its ELF header; the panes are those of its kind."""
    w.says("^on the host.s processor .KVM.$")
    w.says(r"^protected mode, 32 bit", of="x86 registers")
    w.says(r"^rax 0{16} +r8 +0{16}$", of="x86 registers")
    w.says(r"^cs +0010  base 0x0, limit 0xffffffff", of="x86 registers")
    w.says(r"^before the first instruction: run, or step to the first VM exit$", of="Status")
    w.says(r"00100000  c705\w+\+? mov dword ptr", of=("Instructions", "list"))
    assert w.shown("Dirty pages", "page tab") and not w.shown("TLB", "page tab")
    assert not w.shown("Time", "page tab") and not w.is_enabled("Step back")


def steps_an_x86_guest(w):
    w.press("Step")
    w.says(r"^rip +0{10}10000a$", of="x86 registers")
    w.says(r"^Stopped$", of="Status")


def steps_to_a_port(w):
    w.press("Step to exit")
    poll("the serial port", lambda: w.press_until("Step to exit", r"port I/O +in +0x3fd +60 +"
                                                  r"[\d.]+ uart LSR read$", "Exit log"))
    w.says(r"^long mode, 64 bit, CPL 0$", of="x86 registers")
    w.says(r"[\d,]+ exits?   [\d.]+ .s in them$", of="Status")
    w.says(r"^Translation of guest-virtual address 0x001\w+ for a fetch$")


def takes_and_restores_a_snapshot(w):
    rip = w.says(r"^rip +(\w+)$", of="x86 registers").group(1)
    w.key("ctrl+shift+s")
    w.says(r"^after exit \d+ .* exits   . here$", of=("Snapshots", "list"))
    w.press("Step over")
    poll("another instruction",
         lambda: w.says(r"^rip +(\w+)$", of="x86 registers").group(1) != rip)
    w.press("Restore")
    w.says("^back at snapshot .after exit", of="Status")
    poll("the instruction of the snapshot",
         lambda: w.says(r"^rip +(\w+)$", of="x86 registers").group(1) == rip)
    poll("the note in the console", lambda: "back to snapshot" in w.console())


def runs_an_x86_guest_to_its_end(w):
    w.press("Run")
    w.says("^Ended$", of="Status")
    w.says("^the guest switched off with exit code 0$", of="Status")
    poll("the last line", lambda: "page faults served; the end" in w.console())
    assert count(w, "exit") > 1000


def resets_an_x86_guest(w):
    w.press("Reset")
    w.says("^Ready$", of="Status")
    w.says(r"^rip +0{10}100000$", of="x86 registers")


def stops_at_a_breakpoint(w):
    w.press("Step")
    w.says(r"^rip +0{10}10000a$", of="x86 registers")
    w.key("F9")
    w.says("^\u25cf\u25b6 0010000a", of=("Instructions", "list"))
    w.press("Reset")
    w.says("^Ready$", of="Status")
    w.press("Run")
    w.says("^breakpoint$", of="Status")
    w.says(r"^rip +0{10}10000a$", of="x86 registers")


def shows_why_a_guest_is_stuck(home):
    need_kvm()
    w = Window(home, "--cpus", "2", "--kernel-args", "seed=2", CHAOS)
    try:
        w.says(r"^rip ", of="x86 registers")
        assert w.shown("vCPU", "combo box"), "no choice of the vCPU"
        w.press("Run")
        w.says("^Stuck$", of="Status")
        w.says("^triple fault", of="Status")
        w.says(r"(?s)^triple fault.*ud2", of="Reasons")
        w.says(r"\u25b6 \w+  0f0b +ud2$", of=("Instructions", "list"))
        w.press("Reset")
        w.says("^Ready$", of="Status")
        assert not w.shown("Why", "page tab"), "the reasons are still there"
        w.close()
    finally:
        w.kill()


# Echoes what is typed; q switches off.
ECHO = bytes.fromhex("bafd03ec a80174fb baf803ec ee3c71 75ef 30c0 ba0105ee f4")


def types_to_an_x86_guest(home):
    """A boot sector, recognized by its signature, that asks the serial port all the time."""
    need_kvm()
    path = os.path.join(home, "echo.img")
    with open(path, "wb") as file:
        file.write(ECHO.ljust(510, b"\0") + b"\x55\xaa")
    w = Window(home, path)
    try:
        w.says("^real mode$", of="x86 registers")
        w.press("Run")
        w.says("^Running$", of="Status")
        w.type("glass")
        poll("the echo", lambda: "glass" in w.console())
        w.type("q")
        w.says("^Ended$", of="Status")
        w.close()
    finally:
        w.kill()


def says_what_kvm_lacks(home):
    """A descriptor that is no /dev/kvm stands for a host without it."""
    if not os.path.exists(LONGMODE):
        raise Skip(LONGMODE + " was not built")
    w = Window(home, "--kvm", "--kvm-fd", "0", LONGMODE)
    try:
        w.says(r"(?s)/dev/kvm.*vitrine kvm-info")
        w.says("^No guest yet$")
        w.close()
    finally:
        w.kill()


X86 = [opens_an_x86_guest, steps_an_x86_guest, steps_to_a_port, takes_and_restores_a_snapshot,
       runs_an_x86_guest_to_its_end, resets_an_x86_guest, stops_at_a_breakpoint, closes]
DEMO = [steps_to_an_exit, steps_one_instruction, follows_the_translation, steps_by_key,
        steps_back, runs_to_the_shell, types_into_the_console, pauses, steps_back_by_key,
        runs_back_to_an_exit, goes_to_an_instruction, moves_on_the_ruler, asks_who_wrote,
        keeps_a_simulated_guest, compares_two_snapshots, shows_the_layers, resets, closes]
PLAIN = [cannot_go_back_without_history, cancels_a_move, closes_during_a_move]
OTHERS = [ends, opens_a_session_directory, refuses_a_torn_guest, runs_bare,
          protects_and_moves_a_guest, shows_why_a_guest_is_stuck, types_to_an_x86_guest,
          says_what_kvm_lacks]


def inner(home):
    import gi
    gi.require_version("Atspi", "2.0")
    faulthandler.dump_traceback_later(TOTAL, exit=True)
    print("1..%d" % (len(DEMO) + len(X86) + len(PLAIN) + len(OTHERS)), flush=True)
    failed = False
    number = 0

    def run(test, argument):
        nonlocal failed, number
        number += 1
        name = test.__name__.replace("_", " ")
        try:
            test(argument)
            print("ok %d %s" % (number, name), flush=True)
        except Skip as why:
            print("ok %d %s # SKIP %s" % (number, name, why), flush=True)
        except Exception as problem:  # a test must never end the others
            failed = True
            print("not ok %d %s" % (number, name))
            print("# %s: %s" % (type(problem).__name__, problem), flush=True)
            if isinstance(argument, Window):  # the others end theirs
                argument.explain()

    def run_all(tests, *arguments):
        global patience
        patience = LIMIT
        window = Window(home, *arguments)
        try:
            for test in tests:
                run(test, window)
        finally:
            window.kill()

    run_all(DEMO, "--disk", own_disk(home), GUEST)
    try:
        need_kvm()
        run_all(X86, LONGMODE)
    except Skip as why:
        for test in X86:
            number += 1
            print("ok %d %s # SKIP %s" % (number, test.__name__.replace("_", " "), why))
    run_all(PLAIN, "--history", "off", HELLO)
    for test in OTHERS:
        run(test, home)
    sys.exit(failed)


if "VITRINE_WINDOW_TEST" in os.environ:
    inner(os.environ["VITRINE_WINDOW_TEST"])
else:
    outer()
