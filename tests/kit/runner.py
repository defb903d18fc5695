"""The one runner of all tests: every test class, and every cmocka program, in a process of its own, a few at a time."""
import argparse
import concurrent.futures
import glob
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from kit.case import tests_of
from kit.popferry import ROOT, program

TESTS = os.path.join(ROOT, "tests")
RUN = os.path.join(TESTS, "run")
CHUNK = 12          # tests of one class in a process; a class with a setUpClass of its own stays whole
LIMIT = 120         # seconds for one test


class Tally:
    """Results as they come, told at once."""

    def __init__(self, verbose):
        self.verbose, self.lock = verbose, threading.Lock()
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.tables = {}        # title -> rows, each {column: value}

    def row(self, name, title, cells):
        """What a test has measured; told at the end."""
        with self.lock:
            self.tables.setdefault(title, []).append((name, cells))

    def show_tables(self):
        for title, rows in sorted(self.tables.items()):
            rows = [cells for _, cells in sorted(rows, key=lambda row: row[0])]
            lines = [list(rows[0])] + [[str(cell) for cell in cells.values()] for cells in rows]
            if len(rows) > 1:
                columns = list(zip(*(row.values() for row in rows)))[1:]
                lines.append(["all"] + [str(sum(c)) if all(isinstance(cell, int) for cell in c) else "" for c in columns])
            widths = [max(map(len, column)) for column in zip(*lines)]
            print(f"\n{title}")
            for line in lines:
                print("  " + "  ".join([line[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(line[1:], widths[1:])]))

    def add(self, kind, name, text="", seconds=0.0):
        with self.lock:
            if kind == "skip" and os.environ.get("CI"):
                kind, text = "fail", f"skipped, which CI does not allow: {text}"
            if kind == "pass":
                self.passed += 1
            elif kind == "skip":
                self.skipped += 1
            else:
                self.failed += 1
                self.failures.append((name, text))
                print(f"FAIL {name}\n{indent(text)}", flush=True)
            if kind == "skip":
                print(f"skip {name}: {text}", flush=True)
            elif kind == "pass" and self.verbose:
                print(f"ok   {name} ({seconds:.2f} s)", flush=True)


def indent(text):
    return "\n".join("     " + line for line in text.rstrip().splitlines())


# In a worker process: the tests of one class

class Timeout(Exception):
    pass


class Reporter(unittest.TestResult):
    """Writes a JSON line for each test that ends."""

    def __init__(self, out):
        super().__init__()
        self.out = out

    def startTest(self, test):
        super().startTest(test)
        self.began, self.worst = time.monotonic(), None
        self.tell("start", test)
        signal.alarm(getattr(test, "limit", LIMIT))

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)
        kind, text = self.worst or ("pass", "")
        for row in getattr(test, "rows", ()):
            self.tell("row", test, row)
        self.tell(kind, test, text, time.monotonic() - self.began)

    def tell(self, kind, test, text="", seconds=0.0):
        self.out.write(json.dumps([kind, test.id(), text, seconds]) + "\n")
        self.out.flush()

    def note(self, test, error):
        text = self._exc_info_to_string(error, test)
        if hasattr(test, "context"):
            try:
                text += "\n" + test.context()
            except Exception as trouble:
                text += f"\n(no context: {trouble!r})"
        if not hasattr(self, "began") or not isinstance(test, unittest.TestCase):
            self.tell("fail", test, text)       # setUpClass or tearDownClass
        elif self.worst is None or self.worst[0] == "skip":
            self.worst = ("fail", text)

    def addError(self, test, error):
        self.note(test, error)

    def addFailure(self, test, error):
        self.note(test, error)

    def addSubTest(self, test, subtest, error):
        if error:
            self.note(test, error)

    def addSkip(self, test, reason):
        if not isinstance(test, unittest.TestCase):
            self.tell("skip", test, reason)
        elif self.worst is None:
            self.worst = ("skip", reason)

    def addExpectedFailure(self, test, error):
        self.note(test, error)

    def addUnexpectedSuccess(self, test):
        self.worst = ("fail", "unexpected success")


def load(path):
    name = os.path.relpath(path, TESTS)[:-3].replace(os.sep, ".")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def work(path, class_name, methods):
    """The worker: run these methods and report on the descriptor that standard output was."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def alarm(*_):
        raise Timeout("the test takes too long")
    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    test_class = getattr(load(path), class_name)
    with tempfile.TemporaryDirectory(prefix="popferry-test-", ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o711)      # servers that drop root must get through
        test_class.directory_of_class = directory
        suite = unittest.TestSuite([test_class(m) for m in methods])
        suite.run(Reporter(out))
    out.close()
    os._exit(0)     # whatever thread is left


# In the runner

class Piece:
    """Tests that one worker runs: a class, or some of its methods."""

    def __init__(self, path, class_name, methods, limit):
        self.path, self.class_name, self.methods, self.limit = path, class_name, methods, limit

    def run(self, tally):
        command = [sys.executable, RUN, "--worker", self.path, self.class_name, *self.methods]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        noise = []
        listener = threading.Thread(target=lambda: noise.extend(process.stderr), daemon=True)
        listener.start()
        last = [time.monotonic(), None]
        guard = threading.Thread(target=self.guard, args=(process, last), daemon=True)
        guard.start()
        done = 0
        for line in process.stdout:
            kind, name, text, seconds = json.loads(line)
            if kind == "row":
                tally.row(name, *text)
                continue
            last[:] = time.monotonic(), name
            if kind != "start":
                done += 1
                last[1] = None
                tally.add(kind, name, text, seconds)
        process.wait()
        listener.join(1)
        if process.returncode != 0 or last[1]:
            name = last[1] or f"{os.path.relpath(self.path, TESTS)} {self.class_name}"
            tally.add("fail", name, f"the test process ended with {process.returncode}\n{''.join(noise)[-8000:]}")

    def guard(self, process, last):
        """End a worker whose own alarm did not help."""
        while process.poll() is None:
            time.sleep(0.5)
            if time.monotonic() - last[0] > self.limit + 30:
                os.killpg(process.pid, signal.SIGKILL)      # its own session, made above
                return


class Program:
    """A cmocka program."""

    def __init__(self, path):
        self.path = path

    def run(self, tally):
        name = "unit." + os.path.basename(self.path)
        try:
            done = subprocess.run([self.path], capture_output=True, text=True, errors="replace", timeout=LIMIT, cwd=ROOT,
                                  env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"})
        except (subprocess.TimeoutExpired, OSError) as error:
            tally.add("fail", name, str(error))
            return
        output = done.stdout + done.stderr
        bad = 0
        for line in output.splitlines():
            match = re.match(r"(not )?ok \d+ -? ?(.*)", line)
            if match and not match[1]:
                kind = "skip" if "# SKIP" in match[2].upper() else "pass"
                tally.add(kind, f"{name}.{match[2]}", "skipped")
            elif match:
                bad += 1
                tally.add("fail", f"{name}.{match[2]}", output[-4000:])
        if done.returncode and not bad:
            tally.add("fail", name, f"ended with {done.returncode}\n{output[-4000:]}")


def select(names, wanted, tally, tsan=False):
    """The pieces and programs for what was named; tsan: of the test classes only those that ask for it."""
    pieces, paths = [], []
    for name in names:
        if name == "unit":
            build = os.environ.get("BUILD", os.path.join(ROOT, "build", "release"))
            programs = [p for p in sorted(glob.glob(os.path.join(build, "unit", "test_*"))) if os.access(p, os.X_OK)
                        and "." not in os.path.basename(p)]
            if not programs:
                tally.add("fail", "unit", f"no programs below {build}/unit (make unit builds them)")
            pieces += [Program(p) for p in programs if wanted in p]
        elif name == "e2e":
            paths += sorted(glob.glob(os.path.join(TESTS, "peers", "test_*dovecot*.py")))
        elif name.endswith(".py"):
            paths.append(os.path.abspath(name))
        else:
            paths += sorted(glob.glob(os.path.join(TESTS, name, "test_*.py")))
    for path in dict.fromkeys(paths):
        try:
            module = load(path)
        except Exception as error:
            tally.add("fail", os.path.relpath(path, TESTS), f"cannot be loaded: {error!r}")
            continue
        for test_class in tests_of(module):
            if getattr(test_class, "tsan", False) or not tsan:
                pieces += cut(path, test_class, wanted)
    return pieces


def cut(path, test_class, wanted):
    methods = unittest.TestLoader().getTestCaseNames(test_class)
    methods = [m for m in methods if wanted in f"{os.path.relpath(path, TESTS)} {test_class.__name__}.{m}"]
    whole = "setUpClass" in vars(test_class)
    size = len(methods) if whole else getattr(test_class, "chunk", CHUNK)
    limit = getattr(test_class, "limit", LIMIT)
    return [Piece(path, test_class.__name__, methods[i:i + size], limit) for i in range(0, len(methods), max(size, 1))]


def main(argv):
    if argv[:1] == ["--worker"]:
        return work(argv[1], argv[2], argv[3:])
    parser = argparse.ArgumentParser(prog="tests/run", description="Run popferry's tests.")
    parser.add_argument("--jobs", type=int, default=8, metavar="N", help="processes at a time (8: tests mostly wait)")
    parser.add_argument("-k", default="", metavar="TEXT", dest="wanted", help="only tests whose name contains TEXT")
    parser.add_argument("-v", action="store_true", dest="verbose", help="name each test that passes, too")
    parser.add_argument("--tsan", action="store_true", help="only unit tests, and those that are for ThreadSanitizer")
    parser.add_argument("names", nargs="*", metavar="SUITE|FILE")
    options = parser.parse_args(argv)
    tally = Tally(options.verbose)
    # The tests run it in directories of their own.
    os.environ["POPFERRY"] = shlex.join(os.path.abspath(w) if os.path.exists(w) else w for w in program())
    if options.names != ["unit"] and not shutil.which(program()[0]):
        print(f"{program()[0]} is not there; $POPFERRY names the program under test\n0 passed, 1 failed, 0 skipped")
        return 1
    cache = tempfile.mkdtemp(prefix="popferry-cache-")
    os.chmod(cache, 0o755)
    os.environ["POPFERRY_TEST_CACHE"] = cache
    try:
        names = options.names or (["unit", "dialog", "crash"] if options.tsan else ["unit", "dialog", "crash", "e2e"])
        pieces = select(names, options.wanted, tally, options.tsan)
        with concurrent.futures.ThreadPoolExecutor(max(options.jobs, 1)) as pool:
            for done in concurrent.futures.as_completed([pool.submit(p.run, tally) for p in pieces]):
                done.result()
    finally:
        shutil.rmtree(cache, True)
    if tally.failures:
        print("\nFailed:")
        for name, _ in tally.failures:
            print(f"  {name}")
    tally.show_tables()
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed or not tally.passed else 0
