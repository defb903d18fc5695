"""What becomes of the mail when the history or the disk under it is broken."""
import os
import sqlite3
import subprocess

from kit.case import Case, cases
from kit.messages import letter, letters
from kit.pop3 import At
from kit.popferry import OK, STATE, expected


class State(Case):
    """A history that cannot be used is a clear fault, exit status 74, and nothing is delivered or deleted."""

    def refused(self, *words, status=STATE):
        run = self.ferry(status=status)
        self.assertNotEqual(run.stderr, "")
        self.assert_names(run, "thomas", *words)
        self.assertEqual(self.pop3_server.commands("DELE"), [])
        self.assertEqual(len(self.smtp_server.accepted), self.before)
        return run

    def prepare(self):
        self.pop3_server, self.smtp_server = self.pop3(letters(3)), self.smtp()
        self.fetchrc(self.pop3_server, self.smtp_server, keep=True)
        self.ferry()
        self.pop3_server.sessions.clear()
        self.pop3_server.mailboxes["thomas"].add(letters(4)[3])
        self.fetchrc(self.pop3_server, self.smtp_server)
        self.before = 3
        return os.path.join(self.popferry.state, "history.db")

    def test_truncated(self):
        path = self.prepare()
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) // 2 + 100)
        self.refused("history")

    def test_emptied(self):
        path = self.prepare()
        with open(path, "r+b") as file:
            file.truncate(0)
        self.refused("history")

    def test_random_octets(self):
        path = self.prepare()
        with open(path, "wb") as file:
            file.write(os.urandom(50_000))
        self.refused("history")

    def test_random_octets_in_the_middle(self):
        path = self.prepare()
        with open(path, "r+b") as file:
            file.seek(4096)
            file.write(os.urandom(os.path.getsize(path) - 4096))
        self.refused("history")

    @cases({"SMTP": False, "LMTP": True})
    def test_a_receipt_that_fails_costs_no_recipient_a_message(self, lmtp):
        """Alice has it, Bob shall get it later, and then the history takes no receipt: it must not be deleted."""
        pop3, smtp = self.pop3(letters(1)), self.smtp(lmtp=lmtp)
        self.fetchrc(pop3, smtp, recipients=["alice", "bob"])
        path = os.path.join(self.popferry.state, "history.db")
        locks = []

        def lock():
            if not locks:
                locks.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
                locks[0].execute("BEGIN IMMEDIATE")
        if lmtp:
            def judge(message):
                lock()
                return b"452 4.2.2 full\r\n" if message.recipients == ["bob"] else None
            smtp.judge = judge
        else:
            smtp.rules = [At("RCPT", n=2).reply(b"452 4.2.2 full\r\n")]
            smtp.judge = lambda message: lock()
        self.ferry(status=STATE, timeout=90)
        self.assertEqual(pop3.commands("DELE"), [])
        locks[0].close()
        smtp.rules, smtp.judge = [], None
        self.ferry()
        self.assertIn("bob", {name.split("@")[0] for message in smtp.accepted for name in message.recipients})
        self.assertEqual(pop3.left("thomas"), [])

    def test_locked_by_a_process_that_hangs(self):
        db = sqlite3.connect(self.prepare(), isolation_level=None)
        self.addCleanup(db.close)
        db.execute("BEGIN IMMEDIATE")
        self.refused("locked")
        db.execute("ROLLBACK")
        self.ferry()

    def test_a_newer_schema(self):
        db = sqlite3.connect(self.prepare())
        db.execute("PRAGMA user_version = 9999")
        db.commit()
        db.close()
        self.refused("newer")

    def test_a_directory_in_its_place(self):
        path = self.prepare()
        os.unlink(path)
        os.mkdir(path)
        self.refused("history")

    def test_a_state_directory_that_cannot_be_created(self):
        self.prepare()
        self.popferry.state = os.path.join(self.popferry.fetchrc, "below", "a-file")
        self.refused("below")

    def test_no_place_for_a_large_message_is_told_beside_another_fault(self):
        pop3, smtp = self.pop3([letter(1), letter(2, size=3_000_000)]), self.smtp()
        smtp.rules = [At("greeting").delay(1).close()]
        self.fetchrc(pop3, smtp)
        run = self.popferry.run(env={"TMPDIR": os.path.join(self.directory, "nowhere")})
        self.assertEqual(run.status, STATE)
        self.assert_names(run, "thomas: cannot make a temporary file", "thomas: 127.0.0.1 closed the connection")

    def test_a_full_disk_before_and_between(self):
        """A file system of some hundred KB, filled to different degrees."""
        mount = os.path.join(self.directory, "small")
        os.mkdir(mount)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "none", mount], capture_output=True).returncode:
            self.skipTest("needs root and a mount")
        self.addCleanup(subprocess.run, ["umount", "-l", mount], capture_output=True)
        sent = letters(12)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp)
        self.popferry.state = os.path.join(mount, "state")
        filler = os.path.join(mount, "filler")
        for room in (0, 4, 8, 16, 32, 64, 96, 128, 192, 256, 320):
            self.fill(filler)
            os.truncate(filler, max(0, os.path.getsize(filler) - room * 1024))
            run = self.ferry(status=None)
            if run.status == STATE:
                self.assertNotEqual(run.stderr, "")
            elif run.status != OK:
                self.fail(f"exit status {run.status} with {room} KB left")
            gone = [m for m in sent if m not in pop3.left("thomas")]
            self.assert_subset(gone, smtp)
        os.truncate(filler, 0)
        self.ferry()
        self.assertEqual(pop3.left("thomas"), [])
        self.assert_arrived(smtp, sent)

    @staticmethod
    def fill(path):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while True:
                os.write(file, b"x" * 1024)
        except OSError:
            os.close(file)

    def assert_subset(self, gone, smtp):
        arrived = self.arrivals(smtp)
        for message in gone:
            self.assertIn(expected(message), arrived, "deleted, but never delivered")
        self.assertEqual(len(arrived), len(set(arrived)), "the same mail again")


class Owners(Case):
    """Root runs a command on the state directory of a service that has a user of its own."""

    SERVICE = 54321

    def prepare(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        os.mkdir(self.popferry.state)
        os.chown(self.popferry.state, self.SERVICE, self.SERVICE)
        sent = letters(2)
        pop3, smtp = self.pop3(sent), self.smtp()
        smtp.judge = lambda m: b"554 5.7.1 never\r\n" if b"letter 2" in m.octets else None
        self.fetchrc(pop3, smtp, on_reject="quarantine")
        return pop3

    def all_belong_to_the_service(self, *wanted):
        found = {}
        for at, directories, files in os.walk(self.popferry.state):
            for name in directories + files:
                status = os.stat(os.path.join(at, name))
                found[name] = (status.st_uid, status.st_gid, status.st_mode & 0o77)
        self.assertEqual(set(found.values()), {(self.SERVICE, self.SERVICE, 0)}, found)
        for name in wanted:
            self.assertTrue(any(name in there for there in found), name)

    def test_a_run_of_roots_leaves_nothing_that_the_service_cannot_use(self):
        pop3 = self.prepare()
        self.ferry(status=None)
        pop3.mailboxes["thomas"].add(letter(5))
        self.ferry(status=None)
        self.all_belong_to_the_service("lock-", "history.db", "history.db-wal", "history.reserve", "quarantine", ".popferry")

    def test_a_history_that_root_has_begun(self):
        self.prepare()
        self.ferry("history", "--seen", "--yes", "thomas")
        self.all_belong_to_the_service("lock-", "history.db", "history.reserve")


class SmallDisk(Case):
    """A message that does not fit into memory goes to a temporary file: what if there is no room for it?"""

    def small(self, size, options=""):
        mount = os.path.join(self.directory, "small")
        os.mkdir(mount)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "none", mount],
                                               capture_output=True).returncode:
            self.skipTest("needs root and a mount")
        self.addCleanup(subprocess.run, ["umount", "-l", mount], capture_output=True)
        return mount

    def test_no_room_for_a_temporary_file_costs_no_message(self):
        sent = [letter(1), letter(2, size=4_000_000), letter(3)]
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp)
        run = self.ferry(status=STATE, env={"TMPDIR": self.small("1m")})
        self.assert_names(run, "thomas")
        arrived = self.arrivals(smtp)
        for message in sent:
            self.assertTrue(message in pop3.left("thomas") or expected(message) in arrived)
        self.ferry()
        self.assert_arrived(smtp, sent)
        self.assertEqual(pop3.left("thomas"), [])

    def test_a_read_only_file_system(self):
        mount = self.small("2m")
        sent = letters(3)
        pop3, smtp = self.pop3(sent), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.popferry.state = os.path.join(mount, "state")
        self.ferry()
        pop3.mailboxes["thomas"].add(letter(4))
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        self.fetchrc(pop3, smtp)
        self.ferry(status=STATE)
        self.assert_arrived(smtp, sent)
        self.assertEqual(len(pop3.left("thomas")), 4)
        subprocess.run(["mount", "-o", "remount,rw", mount], check=True)
        self.ferry()
        self.assert_arrived(smtp, sent + [letter(4)])
        self.assertEqual(pop3.left("thomas"), [])
