"""Kill tests: popferry ends by SIGKILL at a chosen step (tests/crash/killer.c), runs again, and what the SMTP server accepted is
compared with what was sent.

    shores = Shores(self.directory, connections=4, keep=True)
    trial = Trial(shores, letters(6))
    trial.killed_run(Kill(17, "before"))
    trial.recover()
    trial.verify()

What may come twice is known from outside: whatever the server had accepted in the killed run while the history on disk still
owed it. That may be one message for each delivery session; nothing else ever comes twice, and nothing is lost."""
import collections
import fcntl
import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading

from kit.case import PASSWORD
from kit.certs import Certs
from kit.pop3 import At, Mailbox, Message, Pop3Server
from kit.popferry import Popferry, expected, take_trace
from kit.smtp import SmtpServer

SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash", "killer.c")
LISTED, RECORDED, GONE = 0, 1, 2        # enum history_state; the numbers stand in people's files
LATER = "carol@example.test"            # greylisted in the first run
RECIPIENTS = {"one": ["alice@example.test"], "three": ["alice@example.test", "bob@example.test", LATER]}


def killer():
    """The preload library, compiled once a run."""
    directory = os.environ.get("POPFERRY_TEST_CACHE") or tempfile.gettempdir()
    made = os.path.join(directory, f"killer-{os.getuid()}.so")
    with open(made + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(made) or os.path.getmtime(made) < os.path.getmtime(SOURCE):
            compiler = [os.environ.get("CC", "cc"), "-std=c17", "-O2", "-shared", "-fPIC", "-pthread"]
            subprocess.run([*compiler, "-o", made + ".new", SOURCE], check=True)
            os.rename(made + ".new", made)
    return made


Kill = collections.namedtuple("Kill", "step when", defaults=("before",))
Row = collections.namedtuple("Row", "state owed")


class Shores:
    """Two servers and a fetchrc for one trial after the other."""
    numbers = itertools.count(1)

    def __init__(self, directory, connections=1, keep=False, recipients="one", pipelining=True, delay=0.0, lmtp=False, tls=False, breaks=0, **account):
        """breaks: the number of the RETR that the POP3 server does not survive in the first run."""
        self.connections, self.keep, self.recipients, self.delay = connections, keep, RECIPIENTS[recipients], delay
        self.breaks = breaks
        pop3, smtp = ({}, {}) if pipelining else ({"caps": ("UIDL", "TOP")}, {"extensions": ("SIZE 104857600", "8BITMIME")})
        far, near = {"tls": "none"}, {"protocol": "lmtp" if lmtp else "smtp"}
        if tls:
            for where, server, mode in ((far, pop3, "implicit"), (near, smtp, "starttls")):
                where.update(host="localhost", tls=mode, tls_ca_file=Certs.shared().ca)
                server.update(tls=mode, cert=Certs.shared().good)
        self.pop3 = Pop3Server({}, **pop3).start()
        self.smtp = SmtpServer(delay=delay, lmtp=lmtp, **smtp).start()
        self.popferry = Popferry(os.path.join(directory, f"shores-{next(self.numbers)}"))
        self.popferry.configure({
            "timeout": 20, "final_timeout": "20s",
            "destination": {"local": {"host": self.smtp.host, "port": self.smtp.port, "connections": connections, **near}},
            "account": {"thomas": {"host": self.pop3.host, "port": self.pop3.port, "username": "thomas", "password": PASSWORD,
                                   "recipients": self.recipients, "keep": keep, **far, **account}}})

    def stop(self):
        self.popferry.end()
        self.pop3.stop()
        self.smtp.stop()

    def settle(self):
        """A killed run has no connections any more, but what it had sent is still being worked off."""
        self.pop3.settle(10)
        self.smtp.settle(10)


class Trial:
    """One mailbox, ferried by runs that are killed, then by runs that are not."""
    numbers = itertools.count(1)

    def __init__(self, shores, octets):
        self.shores = shores
        self.where = os.path.realpath(os.path.join(shores.popferry.directory, f"trial-{next(self.numbers)}"))
        self.state = shores.popferry.state = os.path.join(self.where, "state")
        self.report = os.path.join(self.where, "report")
        self.disk = os.path.join(self.where, "disk")
        os.makedirs(self.where)
        messages = [Message(m) for m in octets]
        self.uids = {expected(m.octets): m.uid for m in messages}
        self.sizes = {m.uid: m for m in messages}
        shores.pop3.mailboxes = {"thomas": Mailbox(PASSWORD, messages)}
        shores.smtp.accepted = []
        shores.smtp.delay = shores.delay
        shores.pop3.rules = [At("RETR", n=shores.breaks).close()] if shores.breaks else []
        shores.smtp.refuse = {LATER: b"450 4.7.1 greylisted, try again later\r\n"}
        self.complaints = []
        self.allowed = collections.Counter()    # (UID, recipient) -> how often it may come too much
        self.counted = collections.Counter()    # arrivals before the run
        self.caught = []                        # how many messages each kill caught between acceptance and receipt
        self.ends = []                          # how each run ended
        self.killed = False                     # the last killed_run() was
        self.begin_run()

    def begin_run(self):
        self.shores.pop3.sessions.clear()
        self.shores.smtp.sessions.clear()
        self.counted = self.arrivals()

    def complain(self, text):
        self.complaints.append(f"{text} (runs: {', '.join(self.ends)})")

    # Runs

    def killed_run(self, kill, disk=False):
        """Run and be killed. True: it was, False: it ended before that step. disk: note what is synced, for cut_power()."""
        self.begin_run()
        if disk:
            self.sync()
        env = {"LD_PRELOAD": killer(), "KILLER_STATE": self.state, "KILLER_REPORT": self.report, "KILLER_AT": str(kill.step),
               "KILLER_WHEN": kill.when, "KILLER_DISK": self.disk if disk else None}
        run = self.run(env=env)
        self.killed = killed = run.status == -signal.SIGKILL
        with open(self.report) as file:
            self.ends.append(f"killed {kill.when} {file.read().strip()}" if killed else f"exit status {run.status}")
        if not killed and run.status not in (0, 65, 75):
            self.complain(f"exit status {run.status}: {run.stderr}")
        return killed

    def steps(self):
        """How many steps an undisturbed first run has; delivers everything."""
        self.killed_run(Kill(0))
        with open(self.report) as file:
            return int(file.read().split()[0])

    def run(self, *args, env=None):
        popferry = self.shores.popferry
        run = popferry.finish(popferry.start(*args, env=env, tied=False))
        self.shores.settle()
        if run.status not in (0, 65, 74, 75, -signal.SIGKILL):
            self.complain(f"exit status {run.status}: {run.stderr}")
        if PASSWORD in run.stderr + run.stdout:
            self.complain("the password is shown")
        return run

    def sync(self):
        """All that the state holds now is on the disk."""
        shutil.rmtree(self.disk, True)
        os.makedirs(self.disk)
        for directory, directories, files in os.walk(self.state):
            inodes = {name: os.stat(os.path.join(directory, name)).st_ino for name in directories + files}
            for name in files:
                shutil.copy(os.path.join(directory, name), os.path.join(self.disk, f"file-{inodes[name]}"))
            with open(os.path.join(self.disk, f"names-{os.stat(directory).st_ino}"), "w") as names:
                names.writelines(f"{inode} {name}\n" for name, inode in inodes.items())

    def cut_power(self, how, dice):
        """After a killed run: what a power cut leaves takes the place of the state. how: "synced": nothing but
        that; "written": everything that was written, synced or not; "torn": of each sector and each name one or the other."""
        synced = files_on_disk(self.disk, os.stat(self.state).st_ino) if os.path.isdir(self.state) else {}
        written = files_in(self.state, self.disk)
        pick = {"synced": lambda: False, "written": lambda: True, "torn": lambda: dice.random() < 0.5}[how]
        left = {}
        for name in synced.keys() | written.keys():
            old, new = synced.get(name), written.get(name)
            if name.endswith("-shm"):
                continue
            if old is None or new is None or old.inode != new.inode:
                there = new if pick() else old      # made, removed or renamed since
                if there:
                    left[name] = sectors(there.synced, there.octets, pick)
            else:
                left[name] = sectors(old.synced, new.octets, pick)
        shutil.rmtree(self.state, True)
        os.makedirs(self.state, 0o700)
        for name, octets in left.items():
            path = os.path.join(self.state, name)
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            with open(path, "wb") as file:
                file.write(octets)
        self.ends[-1] += f", power cut: {how}"

    # What there is

    def arrivals(self):
        """(UID, recipient) -> how often the SMTP server accepted it."""
        found = collections.Counter()
        for message in self.shores.smtp.accepted:
            trace, rest = take_trace(message.octets)
            uid = self.uids.get(rest)
            if not trace or not uid:
                self.complain(f"arrived, but was never sent so: {message.octets[:300]!r}")
            for recipient in message.recipients:
                found[uid, recipient] += 1
        return found

    def rows(self, state):
        """What the history in this directory says. The files are copied: reading them would tidy them up."""
        with tempfile.TemporaryDirectory(dir=self.where) as copy:
            for name in ("history.db", "history.db-wal"):
                if os.path.exists(os.path.join(state, name)):
                    shutil.copy(os.path.join(state, name), copy)
            path = os.path.join(copy, "history.db")
            if not os.path.exists(path):
                return {}
            db = sqlite3.connect(path)
            try:
                return {uid: Row(number, (owed or "").split("\n") if owed else [])
                        for uid, number, owed in db.execute("SELECT uid, state, owed FROM message")}
            finally:
                db.close()

    def deletions(self):
        """UIDs for which a DELE has come in this run."""
        return [session.messages[int(command[5:]) - 1].uid for session in self.shores.pop3.sessions
                for command in session.commands if command.startswith("DELE ")]

    # What must hold

    def inspect(self):
        """After a run, however it ended: nothing is accepted that was not planned, nothing told to be deleted that is not
        recorded, and at most one message a session accepted and unrecorded. Those may come twice."""
        rows, arrivals = self.rows(self.state), self.arrivals()
        caught = set()
        for (uid, recipient), times in arrivals.items():
            row = rows.get(uid)
            if row is None and times > self.counted[uid, recipient]:
                self.complain(f"{uid} was delivered before its row was committed")
            if times > self.counted[uid, recipient] and (row is None or (row.state == LISTED and recipient in row.owed)):
                self.allowed[uid, recipient] += 1
                caught.add(uid)
        if len(caught) > self.shores.connections:
            self.complain(f"{len(caught)} messages were accepted and not recorded, with {self.shores.connections} delivery sessions")
        if caught and not self.ends[-1].startswith("killed"):
            self.complain(f"{len(caught)} messages were accepted and not recorded after a run that ended by itself")
        for uid in self.deletions():
            if uid not in rows or rows[uid].state not in (RECORDED, GONE):
                self.complain(f"DELE of {uid}, which is not recorded")
        self.caught.append(len(caught))

    def recover(self, runs=4):
        """Run undisturbed until the mailbox is done."""
        self.shores.smtp.refuse, self.shores.smtp.delay, self.shores.pop3.rules = {}, 0, []
        for _ in range(runs):
            self.begin_run()
            run = self.run()
            self.ends.append(f"exit status {run.status}")
            self.inspect()
            if run.status == 0 and (self.shores.keep or not self.shores.pop3.left("thomas")):
                break
        if run.status != 0:
            self.complain(f"exit status {run.status} at last: {run.stderr}")

    def verify(self):
        """At the end. Returns (lost, duplicates)."""
        mailbox, arrivals = self.shores.pop3.left("thomas"), self.arrivals()
        if self.shores.keep:
            if len(mailbox) != len(self.uids):
                self.complain("kept mail is gone")
            self.begin_run()
            self.run()
            if self.arrivals() != arrivals:
                self.complain("kept mail came again")
        elif mailbox:
            self.complain(f"{len(mailbox)} messages were left on the POP3 server")
        if [m for m in self.shores.pop3.violations + self.shores.smtp.violations]:
            self.complain(f"violations: {self.shores.pop3.violations + self.shores.smtp.violations}")
        lost, duplicates = set(), collections.Counter()
        for uid, recipient in itertools.product(self.uids.values(), self.shores.recipients):
            times = arrivals[uid, recipient]
            if times == 0:
                lost.add(uid)
            if times - 1 > self.allowed[uid, recipient]:
                self.complain(f"{uid} came {times} times to {recipient}, and {self.allowed[uid, recipient]} kills can explain that")
            duplicates[uid] = max(duplicates[uid], times - 1)
        if lost:
            self.complain(f"lost: {sorted(lost)}")
        shutil.rmtree(self.where, True)
        return len(lost), sum(duplicates.values())


File = collections.namedtuple("File", "inode synced octets")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def files_on_disk(disk, directory, prefix=""):
    """What killer.c has kept of the directory with that inode: path -> File, all of it synced."""
    found = {}
    path = os.path.join(disk, f"names-{directory}")
    for line in read(path).decode().splitlines() if os.path.exists(path) else ():
        inode, name = line.split(" ", 1)
        kept = os.path.join(disk, f"file-{inode}")
        if os.path.exists(kept):
            found[prefix + name] = File(int(inode), read(kept), read(kept))
        elif below := files_on_disk(disk, inode, prefix + name + "/"):
            found.update(below)
        elif "." in name or name.startswith("lock-"):
            found[prefix + name] = File(int(inode), b"", b"")       # a name without content
    return found


def files_in(state, disk):
    found = {}
    for directory, _, files in os.walk(state):
        for name in files:
            path = os.path.join(directory, name)
            inode = os.stat(path).st_ino
            kept = os.path.join(disk, f"file-{inode}")
            found[os.path.relpath(path, state)] = File(inode, read(kept) if os.path.exists(kept) else b"", read(path))
    return found


def sectors(old, new, pick, size=512):
    """Of each sector the old or the new one; the length is the one or the other as well."""
    length = len(new) if pick() else len(old)
    mixed = b"".join((new if pick() else old)[at:at + size].ljust(size, b"\0") for at in range(0, max(len(old), len(new)), size))
    return mixed[:length]


class Series:
    """Many trials, a few at a time."""

    def __init__(self, case, workers=2, **shores):
        self.case, self.workers, self.shores = case, workers, shores
        self.lock = threading.Lock()
        self.sums = collections.Counter()
        self.most = 0       # that one kill has caught
        self.complaints = []

    def every_step(self, work, when="before"):
        """work(shores, Kill) for step 1, 2, 3 ...; work tells whether it was killed by trial.killed. Returns the last step.
        A step more or less in each run of threads: so many runs in a row must have ended before their step."""
        self.last = ended = 0

        def steps():
            for step in itertools.count(1):
                if ended >= 3:
                    return
                yield Kill(step, when)

        def watched(shores, kill):
            nonlocal ended
            trial = work(shores, kill)
            if trial.killed:
                self.last, ended = max(self.last, kill.step), 0
            else:
                ended += 1
            return trial

        self.each(steps(), watched)
        return self.last

    def each(self, jobs, work):
        """work(shores, job) for each of the jobs -> a Trial, counted; it stops at the first complaints."""
        jobs = iter(jobs)
        threads = [threading.Thread(target=self.labour, args=(jobs, work), daemon=True) for _ in range(self.workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.complaints:
            self.case.fail("\n".join(self.complaints[:20]))
        return self.sums

    def labour(self, jobs, work):
        shores = Shores(self.case.directory, **self.shores)
        try:
            while not self.complaints:
                with self.lock:
                    job = next(jobs, None)
                if job is None:
                    return
                self.count(work(shores, job))
        except Exception as trouble:
            self.complaints.append(f"{type(trouble).__name__}: {trouble}")
            raise
        finally:
            shores.stop()

    def count(self, trial):
        lost, duplicates = trial.verify()
        kills = sum(end.startswith("killed") for end in trial.ends)
        with self.lock:
            self.sums.update(kills=kills, caught=sum(trial.caught), lost=lost, duplicates=duplicates)
            self.most = max(self.most, *trial.caught)
            self.complaints += trial.complaints

    def row(self, title, **cells):
        sums = self.sums
        self.case.rows.append([title, {**cells, "kills": sums["kills"], "lost": sums["lost"], "duplicates": sums["duplicates"],
                                       "most at a kill": f"{self.most} of {self.shores.get('connections', 1)} allowed"}])
