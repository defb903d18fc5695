"""popferry on a pseudo-terminal, and what a person then sees."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from kit.popferry import Run, die_with_parent, program

SEQUENCE = re.compile(r"\x1b\[(\d*)([A-Za-z])")


class Screen:
    """The few control sequences that popferry may use: CUU, ED, CR, LF. Lines wrap at the width."""

    def __init__(self, columns):
        self.columns = columns
        self.lines, self.row, self.column = [""], 0, 0
        self.widest = 0         # what a line would have needed
        self.unknown = []       # sequences that a plain terminal need not know
        self.seen = []          # every state of the screen before a line was cleared

    def write(self, text):
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                match = SEQUENCE.match(text, at)
                if not match:
                    self.unknown.append(text[at:at + 8])
                    at += 1
                    continue
                self.control(int(match[1] or 1), match[2])
                at = match.end()
                continue
            self.put(text[at])
            at += 1

    def control(self, n, what):
        if what == "A":
            self.row = max(0, self.row - n)
        elif what == "J":
            self.seen.append("\n".join(self.lines))
            self.lines = self.lines[:self.row] + [self.lines[self.row][:self.column]]
        else:
            self.unknown.append(what)

    def put(self, char):
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[:self.column] + char + line[self.column + 1:]
            self.column += 1
            self.widest = max(self.widest, self.column)

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines).strip("\n")


def run_on_terminal(popferry, *args, columns=80, rows=24, env=None, which="both", timeout=60):
    """Run popferry with its standard error (which="stderr") or both on a terminal. Returns the Run, stdout and stderr as read
    (those on the terminal in stderr), and the Screen."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = program() + ["-c", popferry.fetchrc, "--state-dir", popferry.state, *args]
    environment = popferry.environment({"TERM": "xterm", "LANG": "C.UTF-8", **(env or {})})
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=popferry.directory, env=environment, stdin=subprocess.DEVNULL, stderr=slave,
                               stdout=slave if which == "both" else subprocess.DEVNULL, preexec_fn=die_with_parent)
    os.close(slave)
    popferry.children.append(process)
    screen, octets = Screen(columns), b""
    while time.monotonic() < began + timeout:
        if not select.select([master], [], [], 0.2)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        octets += chunk
    os.close(master)
    process.wait(5)
    popferry.children.remove(process)
    text = octets.decode("utf-8", "replace")
    screen.write(text)
    run = Run(command, process.returncode, "", text, time.monotonic() - began)
    popferry.runs.append(run)
    return run, screen
