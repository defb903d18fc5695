#!/usr/bin/env python3
"""popferry beside fetchmail, mpop, getmail and fdm: one table a scenario. How to read them: tests/bench/README.

    bench.py [-l] [-p PROGRAM,...] [-r RUNS] [-s scripted|dovecot] [-k] [SCENARIO]...
"""
import argparse
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import peers
import servers


@dataclass
class Scenario:
    title: str
    accounts: int
    messages: int  # in each account
    octets: int    # of a message
    rtt: float = 0  # milliseconds, on the POP3 side
    limit: int = 0  # round trips that nobody avoids
    goal: str = ""
    smtp: str = "sink"  # or "postfix"
    smtp_pause: float = 0  # milliseconds until the answer to the final dot
    pop: str = "dovecot"
    tls: bool = False
    kept: bool = False  # a first run, not measured, has delivered everything; everything is kept
    jobs: int = 8
    per: str = "message"  # what CPU is divided by: "message", "MB", "run"
    history: int = 0  # rows of other mail put into popferry's history before the measured run


SCENARIOS = {
    "line": Scenario("1 account, 200 messages of 4 KB, RTT 50 ms", 1, 200, 4096, 50, 7, "at most 9 RTT"),
    "line-tls": Scenario("the same over POP3S", 1, 200, 4096, 50, 8, "at most 10 RTT", tls=True),
    "accounts": Scenario("20 accounts of 20 messages, RTT 50 ms", 20, 20, 4096, 50, 7, "at most 10 RTT", jobs=20),
    "nothing-new": Scenario("nothing new among 10,000 kept, RTT 50 ms", 1, 10000, 300, 50, 5,
                            "at most 7 RTT, 30 ms of CPU", kept=True, per="run", pop="scripted"),
    "old-history": Scenario("the same with 100,000 rows of other mail in the history", 1, 10000, 300, 50, 5,
                            "CPU as without them", kept=True, per="run", history=100000, pop="scripted"),
    "many": Scenario("5,000 messages of 2 KB, no delay", 1, 5000, 2048, goal="10 times fdm; CPU a message below fetchmail's"),
    "many-scripted": Scenario("5,000 messages of 2 KB, no delay, from a server that costs next to nothing", 1, 5000, 2048,
                              goal="10 times fdm; CPU a message below fetchmail's", pop="scripted"),
    "large": Scenario("20 messages of 10 MB, no delay", 1, 20, 10_000_000, goal="ahead of all; CPU at most 4 times curl's", per="MB"),
    "large-tls": Scenario("20 messages of 10 MB over POP3S, no delay", 1, 20, 10_000_000,
                          goal="ahead of all; CPU at most 2 times curl's", per="MB", tls=True),
    "postfix": Scenario("500 messages of 4 KB into a Postfix queue (fsync), RTT 20 ms", 1, 500, 4096, 20,
                        goal="7 times the best peer", smtp="postfix"),
    "slow-smtp": Scenario("200 messages, an SMTP server that takes 20 ms each, RTT 50 ms", 1, 200, 4096, 50,
                          goal="8 times the best peer", smtp_pause=20),
    "memory": Scenario("100 mailboxes at once, 20 messages of 20 KB each", 100, 20, 20000, goal="at most 64 MiB resident", jobs=100),
}


@dataclass
class Result:
    program: str
    wall: float = 0
    cpu: float = 0
    rss: float = 0  # MiB
    status: int = 0
    verdict: str = ""  # what arrived
    whole: bool = True
    words: str = ""
    arrived: int = 0  # different messages


def measure(command, room, seconds):
    """Run it. Returns wall, CPU (its children's too), peak resident MiB, exit status (None: ended after `seconds`), what it said."""
    environment = {**os.environ, "HOME": str(room), "FETCHMAILHOME": str(room), "LC_ALL": "C"}
    said, report = room / "said", room / "report"
    with open(said, "wb") as out:
        subprocess.run([servers.TOOLS / "measure", report, str(seconds), *map(str, command)], stdin=subprocess.DEVNULL,
                       stdout=out, stderr=out, env=environment, cwd=room, check=True)
    wall, cpu, rss, status = report.read_text().split()
    words = said.read_bytes().decode("utf-8", "replace").strip()
    return float(wall), float(cpu), int(rss) / 1024, None if status == "-1" else int(status), words[-300:]


def compare(tally, expected, tail):
    """What arrived against what was sent: a sentence, whether each arrived once and whole, how many did."""
    counts = Counter(number for number, _ in tally)
    lost = sum(1 for number in range(expected) if counts[number] == 0)
    twice = sum(n - 1 for n in counts.values() if n > 1)
    changed = sum(1 for _, octets in tally if octets is not None and octets != tail)
    faults = [f"{n} {what}" for n, what in ((lost, "lost"), (twice, "twice"), (changed, "changed")) if n]
    return ", ".join(faults) or "each once", not lost and not twice, expected - lost


class Course:
    """One scenario: its servers, and the programs one after the other."""

    def __init__(self, scenario, options, room):
        self.scenario, self.options, self.room = scenario, options, room
        kind = options.server or scenario.pop
        maker = servers.Scripted if kind == "scripted" and not scenario.tls else servers.Dovecot
        self.pop = maker(room, scenario.accounts, scenario.messages, scenario.octets)
        self.postfix = servers.Postfix(room) if scenario.smtp == "postfix" else None

    def stop(self):
        self.pop.stop()
        if self.postfix:
            self.postfix.stop()

    def far_port(self):
        return self.pop.tls_port if self.scenario.tls else self.pop.port

    def run(self, program):
        s = self.scenario
        own = Path(tempfile.mkdtemp(prefix=program, dir=self.room))
        port = servers.Tool("delay", self.far_port(), 0) if s.kept else None
        sink = self.postfix or servers.Sink(own, s.smtp_pause)
        line = port
        job = peers.Job(own, 0, sink.port, s.accounts, keep=s.kept, jobs=s.jobs, tls=self.pop.certificate if s.tls else None)
        try:
            self.pop.fill()
            if s.kept:
                self.first_run(program, job, port)
                sink.stop()
                sink = servers.Sink(own)
                job.smtp_port = sink.port
                line = servers.Tool("delay", self.far_port(), s.rtt, port.port)
            elif s.rtt:
                line = servers.Tool("delay", self.far_port(), s.rtt)
            job.pop_port = line.port if line else self.far_port()
            wall, cpu, rss, status, words = measure(peers.PROGRAMS[program](job), own, self.options.seconds)
            tally = sink.tally()
        finally:
            for server in (line, None if sink is self.postfix else sink):
                if server:
                    server.stop()
        expected = 0 if s.kept else s.accounts * s.messages
        verdict, whole, arrived = compare(tally, expected, self.pop.tail)
        if s.kept:
            verdict, whole = (f"{len(tally)} again", False) if tally else ("none again", True)
        if status is None:
            verdict, whole = f"{arrived}, then ended after {self.options.seconds} s", True
        shutil.rmtree(own, ignore_errors=True)
        return Result(program, wall, cpu, rss, status, verdict, whole, words, arrived)

    def first_run(self, program, job, port):
        """Let it take in what it shall know, without a delay and with a delivery that costs little."""
        job.pop_port, job.discard = port.port, True
        _, _, _, status, words = measure(peers.PROGRAMS[program](job), job.room, 100)
        port.stop()
        job.discard = False
        if status is None:
            raise RuntimeError("its first run, over all the messages, took more than 100 s")
        if status not in (0, 1):  # fetchmail: 1 is no mail
            raise RuntimeError(f"its first run ended with {status}: {words.splitlines()[-1] if words else ''}")
        if program == "popferry" and self.scenario.history:
            add_history(job.room / "state", self.scenario.history)

    def curl(self):
        """The yardstick for large mail: curl, which throws it away."""
        self.pop.fill()
        scheme = "pop3s" if self.scenario.tls else "pop3"
        url = f"{scheme}://u0:x@127.0.0.1:{self.far_port()}/[1-{self.scenario.messages}]"
        wall, cpu, rss, status, words = measure(["curl", "-sk", "--ignore-content-length", url, "-o", "/dev/null"], self.room, 60)
        return Result("(curl)", wall, cpu, rss, status, "thrown away", True, words, self.scenario.messages)


def add_history(state, rows):
    """Put rows of mail that is listed no more beside those that are there."""
    path = next(p for p in state.iterdir() if p.is_file() and p.read_bytes()[:15] == b"SQLite format 3")
    yesterday = int(time.time()) - 86400
    with sqlite3.connect(path) as db:
        db.execute("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ?) "
                   "INSERT INTO message (mailbox, absent, uid, octets, digest, state, first_seen, delivered) "
                   "SELECT m.mailbox, ?, 'old' || n, m.octets, m.digest, m.state, ?, ? "
                   "FROM s, (SELECT * FROM message LIMIT 1) m", (rows, yesterday, yesterday, yesterday))
    db.close()


def cpu_share(result, scenario):
    """CPU in milliseconds for each message, MB or run."""
    done = max(result.arrived, 1)
    return result.cpu * 1000 / {"message": done, "run": 1, "MB": done * scenario.octets / 1e6}[scenario.per]


def pace(result, scenario):
    """Seconds for the whole job, at the speed with which the program went as far as it came."""
    mails = scenario.accounts * scenario.messages
    return result.wall if scenario.kept or not result.arrived else result.wall * mails / result.arrived


def median(results):
    """The run with the median wall time."""
    return sorted(results, key=lambda r: r.wall)[len(results) // 2]


def print_table(scenario, results, absent):
    own = next((r for r in results if r.program == "popferry"), None)
    print(f"  {'program':<10} {'wall s':>8} {'RTT':>7} {'mail/s':>8} {'MB/s':>7} {'CPU s':>7} {'ms/' + scenario.per:>10} {'MiB':>6} "
          f"{'popferry is':>12}  arrived")
    for r in results:
        trips = f"{r.wall * 1000 / scenario.rtt:7.1f}" if scenario.rtt else "      -"
        rate = "       -" if scenario.kept else f"{r.arrived / r.wall:8.0f}"
        speed = "      -" if scenario.kept else f"{r.arrived * scenario.octets / r.wall / 1e6:7.1f}"
        times = f"{pace(r, scenario) / pace(own, scenario):11.1f}x" if own and r is not own and not r.program.startswith("(") else ""
        status = "" if r.status in (0, None) or scenario.kept and r.status == 1 else f" (exit {r.status})"
        print(f"  {r.program:<10} {r.wall:8.3f} {trips} {rate} {speed} {r.cpu:7.3f} {cpu_share(r, scenario):10.3f} {r.rss:6.1f} "
              f"{times:>12}  {r.verdict}{status}")
        if r.words and (status or not r.whole):
            print(f"    said: {r.words.splitlines()[-1][:110]}")
    for line in absent:
        print(f"  {line}")
    print_judgement(scenario, own, results)


def print_judgement(scenario, own, results):
    if not own:
        return
    words = []
    if scenario.limit:
        trips = own.wall * 1000 / scenario.rtt
        words.append(f"{trips:.1f} RTT, {trips / scenario.limit:.2f} times the ideal of {scenario.limit}")
    others = [r for r in results if r.program in peers.PROGRAMS and r is not own and r.whole]
    if others:
        fast = min(others, key=lambda r: pace(r, scenario))
        lean = min(others, key=lambda r: cpu_share(r, scenario))
        words.append(f"{pace(fast, scenario) / pace(own, scenario):.1f} times as fast as {fast.program}")
        words.append(f"{cpu_share(own, scenario) / cpu_share(lean, scenario):.2f} times the CPU of {lean.program}")
    curl = next((r for r in results if r.program == "(curl)"), None)
    if curl:
        words.append(f"{own.cpu / curl.cpu:.1f} times the CPU of curl")
    if words:
        print(f"  popferry: {'; '.join(words)}.")
    print(f"  wanted: {scenario.goal}.")


def run_scenario(name, options):
    scenario = SCENARIOS[name]
    if options.rtt and scenario.rtt:
        scenario = replace(scenario, rtt=options.rtt, title=f"{scenario.title.split(', RTT')[0]}, RTT {options.rtt:g} ms")
    print(f"\n{name}: {scenario.title}", flush=True)
    room = Path(tempfile.mkdtemp(prefix="popferry-bench-", dir=options.dir))
    room.chmod(0o755)
    results, absent, course = [], [], None
    try:
        course = Course(scenario, options, room)
        for program in options.programs:
            lacking = peers.missing(program)
            if lacking:
                absent.append(f"{program}: left out, {lacking} is not installed")
                continue
            try:
                results.append(median([course.run(program) for _ in range(options.runs)]))
            except RuntimeError as fault:
                absent.append(f"{program}: left out, {fault}")
        if scenario.per == "MB" and shutil.which("curl"):
            results.append(course.curl())
    except RuntimeError as fault:
        absent.append(f"left out: {fault}")
    finally:
        if course:
            course.stop()
        if options.keep:
            print(f"  kept: {room}")
        else:
            shutil.rmtree(room, ignore_errors=True)
    print_table(scenario, results, absent)
    sys.stdout.flush()
    return all(r.whole for r in results if r.program == "popferry")


def main():
    parser = argparse.ArgumentParser(description="popferry beside its peers")
    parser.add_argument("-l", "--list", action="store_true", help="name the scenarios")
    parser.add_argument("-p", "--programs", default=",".join(peers.PROGRAMS), help="which programs, separated by commas")
    parser.add_argument("-r", "--runs", type=int, default=1, help="runs of each; the one with the median wall time counts")
    parser.add_argument("-s", "--server", choices=["scripted", "dovecot"], help="another POP3 server than the scenario's")
    parser.add_argument("--rtt", type=float, help="another round trip in ms: a long one counts the trips on a busy machine")
    parser.add_argument("-t", "--seconds", type=int, default=90, help="end a program after so many seconds")
    parser.add_argument("-d", "--dir", default="/var/tmp", help="where the servers' and programs' files go: a real disk")
    parser.add_argument("-k", "--keep", action="store_true", help="keep them")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    options = parser.parse_args()
    if options.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:14} {scenario.title}")
        return 0
    options.programs = options.programs.split(",")
    unknown = [n for n in options.scenarios if n not in SCENARIOS] + [p for p in options.programs if p not in peers.PROGRAMS]
    if unknown:
        parser.error(f"unknown: {' '.join(unknown)}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    whole = [run_scenario(name, options) for name in options.scenarios or SCENARIOS]
    if not all(whole):
        print("\nbench: popferry lost or doubled mail")
    return 0 if all(whole) else 1


if __name__ == "__main__":
    sys.exit(main())
