"""A person at a terminal: popferry behind a pseudo-terminal, with somebody who waits for words and types.

    with Terminal(self.popferry, "talk", "gmx") as terminal:
        terminal.wait("gmx> ")
        terminal.type("LIST\\n")
        ...
    terminal.status, terminal.output"""
import os
import pty
import select
import signal
import time

from kit.popferry import die_with_parent, program


class Terminal:
    def __init__(self, popferry, *args, env=None):
        self.command = program() + ["-c", popferry.fetchrc, "--state-dir", popferry.state, *args]
        self.environment = popferry.environment({"TERM": "xterm", "LC_ALL": "C.UTF-8", **(env or {})})
        self.directory = popferry.directory
        self.output = ""
        self.seen = 0       # how much of the output wait() has passed
        self.status = None

    def __enter__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                die_with_parent()
                os.chdir(self.directory)
                os.execvpe(self.command[0], self.command, self.environment)
            finally:
                os._exit(127)
        return self

    def __exit__(self, *_):
        self.end(10)

    def read(self, seconds):
        """Take what comes within some time; False when the program has ended."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            octets = os.read(self.fd, 65536)
        except OSError:
            return False
        self.output += octets.decode("utf-8", "replace")
        return bool(octets)

    def wait(self, words, seconds=15):
        """Wait until these words have come, behind those that were waited for before. Returns what came up to them."""
        end = time.monotonic() + seconds
        while (at := self.output.find(words, self.seen)) < 0:
            if not self.read(0.2) or time.monotonic() > end:
                raise AssertionError(f"the terminal does not show {words!r} but {self.output!r}")
        before = self.output[self.seen:at]
        self.seen = at + len(words)
        return before

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self, seconds=10):
        """Wait for the end of the program; it is killed when it does not come."""
        end = time.monotonic() + seconds
        while self.status is None and self.read(0.2) and time.monotonic() < end:
            pass
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                end += 60
            else:
                time.sleep(0.02)
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
