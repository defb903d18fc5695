"""The program under test: writes a fetchrc, runs popferry on it, and says what should have arrived."""
import ctypes
import os
import re
import shlex
import signal
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# sysexits, as the contract has them
OK, USAGE, REFUSED, INTERNAL, STATE, RETRY, PROTOCOL, LOGIN, CONFIG = 0, 64, 65, 70, 74, 75, 76, 77, 78


LIBC = ctypes.CDLL(None)


def program():
    """$POPFERRY as words (so that a wrapper such as valgrind may stand in front)."""
    return shlex.split(os.environ.get("POPFERRY", os.path.join(ROOT, "popferry")))


def die_with_parent():
    """In the child: end when the test's process ends."""
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Run:
    """One finished run."""

    def __init__(self, command, status, stdout, stderr, seconds, peak=0):
        self.command, self.status, self.stdout, self.stderr, self.seconds = command, status, stdout, stderr, seconds
        self.peak = peak    # KiB resident, as sampled

    def __str__(self):
        return (f"  $ {shlex.join(self.command)}\n  exit status {self.status} after {self.seconds:.2f} s\n"
                f"  stdout: {self.stdout.strip() or '-'}\n  stderr:\n" +
                "\n".join("    " + line for line in self.stderr[-12000:].splitlines()))


class Popferry:
    """popferry with a home of its own below `directory`."""

    def __init__(self, directory):
        self.directory = directory
        self.home = os.path.join(directory, "home")
        self.state = os.path.join(directory, "state")
        self.fetchrc = os.path.join(directory, "fetchrc")
        self.tmp = os.path.join(directory, "tmp")
        for path in (self.home, self.tmp):
            os.makedirs(path, exist_ok=True)
        self.runs = []
        self.children = []

    def configure(self, options, mode=0o600):
        """Write the fetchrc from a dict: {"timeout": 3, "destination": {"local": {...}}, "account": {"gmx": {...}}}, or as text."""
        text = options if isinstance(options, str) else fetchrc_text(options)
        with open(self.fetchrc, "w") as file:
            file.write(text)
        os.chmod(self.fetchrc, mode)

    def environment(self, extra=None):
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_PRELOAD", "LANG") or "SAN_OPTIONS" in k}
        keep.update(HOME=self.home, XDG_CONFIG_HOME=os.path.join(self.home, "config"), TMPDIR=self.tmp,
                    XDG_STATE_HOME=os.path.join(self.home, "state"), TZ="UTC")
        keep.update(extra or {})
        return {k: v for k, v in keep.items() if v is not None}

    def start(self, *args, env=None, plain=False, tied=True, stdin=subprocess.DEVNULL):
        """Start it and do not wait. plain: neither -c nor --state-dir is given. tied False: quicker, and safe while other threads
        start theirs; but nothing ends it when the test's process ends."""
        where = [] if plain else ["-c", self.fetchrc, "--state-dir", self.state]
        command = program() + where + list(args)
        process = subprocess.Popen(command, cwd=self.directory, env=self.environment(env), stdin=stdin,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=die_with_parent if tied else None)
        process.command, process.started = command, time.monotonic()
        self.children.append(process)
        return process

    def finish(self, process, timeout=60, typed=None):
        """Wait for a started one. typed: octets for its standard input, if that is a pipe."""
        peak = [0]
        threading.Thread(target=watch_memory, args=(process, peak), daemon=True).start()
        try:
            out, err = process.communicate(typed, timeout=timeout)
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            status = f"none within {timeout} s"
        finally:
            if process in self.children:
                self.children.remove(process)
        run = Run(process.command, status, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"),
                  time.monotonic() - process.started, peak[0])
        self.runs.append(run)
        return run

    def run(self, *args, timeout=60, typed=None, **how):
        if typed is not None:
            how["stdin"] = subprocess.PIPE
        return self.finish(self.start(*args, **how), timeout, typed)

    def end(self):
        """End whatever this test has left running."""
        for process in self.children:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.children = []


def watch_memory(process, peak):
    """Note the most memory (KiB resident) that the process has had, until it ends. wait4() would count its parent's, too."""
    while process.returncode is None:
        try:
            with open(f"/proc/{process.pid}/status") as file:
                peak[0] = max([peak[0]] + [int(line.split()[1]) for line in file if line.startswith("VmHWM")])
        except OSError:
            return
        time.sleep(0.02)


def fetchrc_text(options):
    lines = []
    for name, value in options.items():
        if isinstance(value, dict):
            for title, section in value.items():
                body = "".join(f"    {k} = {quoted(v)}\n" for k, v in section.items() if v is not None)
                lines.append(f"{name} {quoted(title)} {{\n{body}}}\n")
        elif value is not None:
            lines.append(f"{name} = {quoted(value)}\n")
    return "".join(lines)


def quoted(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(quoted(v) for v in value) + "}"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


# What arrives

RECEIVED = re.compile(
    rb"Received: from (?P<host>\S+)(?: \(\[?(?P<ip>[0-9A-Fa-f:.]+|IPv6:[0-9A-Fa-f:.]+)\]?\))? by (?P<by>\S+)(?: \([^)]*\))? "
    rb"with (?P<with>POP3S?)(?: id (?P<id>\S+))?(?: for <(?P<for>[^<> ]+)>)?; "
    rb"(?P<date>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d? (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    rb"\d\d:\d\d:\d\d [+-]\d{4})(?: \([A-Z]+\))?")


def take_trace(octets):
    """Split an arrived message into the match of its trace header (None if it is malformed) and the rest."""
    end = 0
    while True:
        eol = octets.find(b"\r\n", end)
        if eol < 0 or eol - end > 998:
            return None, octets
        end = eol + 2
        if octets[end:end + 1] not in (b" ", b"\t"):
            break
    unfolded = re.sub(rb"\r\n[ \t]+", b" ", octets[:end]).strip()
    return RECEIVED.fullmatch(unfolded), octets[end:]


def expected(octets):
    """What must arrive below the trace header for a message as it stood on the POP3 wire: the same octets, line ends
    repaired, the first Return-Path of the header taken off."""
    if octets and not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    octets = re.sub(rb"\r*\n", b"\r\n", octets)
    octets = re.sub(rb"\r(?!\n)", b" ", octets)
    head = octets[:octets.find(b"\r\n\r\n") + 2] if b"\r\n\r\n" in octets else octets
    if octets.startswith(b"\r\n"):
        head = b""
    path = re.search(rb"(?im)^return-path[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", head)
    return octets[:path.start()] + octets[path.end():] if path else octets
