"""popferry history: what is remembered is listed, searched, and changed by hand."""
import fcntl
import json
import os
import sqlite3

from kit.case import Case, cases
from kit.clock import shifted
from kit.messages import letters
from kit.pop3 import At, Message
from kit.popferry import LOGIN, OK, PROTOCOL, REFUSED, RETRY, STATE, USAGE
from kit.keyboard import Terminal


class HistoryCase(Case):
    def shores(self, count=3, pop3=None, smtp=None, **account):
        account.setdefault("keep", True)
        self.messages = [Message(octets, f"uid{n}") for n, octets in enumerate(letters(count), 1)]
        self.pop3_server = self.pop3(self.messages, **(pop3 or {}))
        self.smtp_server = self.smtp(**(smtp or {}))
        self.options = self.fetchrc(self.pop3_server, self.smtp_server, **account)
        self.identity = f"thomas@127.0.0.1:{self.pop3_server.port}"
        return self.pop3_server, self.smtp_server

    def history(self, *args, status=OK, **how):
        run = self.ferry("history", *args, status=status, **how)
        if run.stdout.endswith((" message\n", " messages\n")):     # the table
            for line in run.stdout.splitlines():
                self.assertLessEqual(len(line), 80, line)
        return run

    def listed(self, *args):
        return json.loads(self.history("--json", *args).stdout)

    def uids(self, *args):
        return sorted(row["uidl"] for row in self.listed(*args))


class Listing(HistoryCase):
    def test_a_history_that_is_not_there_is_empty(self):
        self.shores()
        self.assertEqual(self.history().stdout, "0 messages\n")
        self.assertEqual(self.listed(), [])
        self.assertFalse(os.path.exists(self.popferry.state))

    def test_what_was_delivered(self):
        self.shores()
        self.ferry()
        lines = self.history().stdout.splitlines()
        self.assertEqual(lines[0], f"thomas  {self.identity}")
        self.assertRegex(lines[1], r"^  \d{4}-\d\d-\d\d \d\d:\d\d  recorded  +\d+ B  uid1$")
        self.assertEqual(lines[-1], "3 messages")

    def test_json_has_stable_keys(self):
        self.shores(1)
        self.ferry()
        (row,) = self.listed()
        self.assertEqual((row["account"], row["mailbox"], row["uidl"], row["state"], row["owed"], row["refusals"], row["listed"]),
                         ("thomas", self.identity, "uid1", "recorded", [], 0, True))
        self.assertEqual(row["size"], len(self.messages[0].octets))
        self.assertEqual(len(row["sha256"]), 64)
        self.assertTrue(0 < row["first_seen"] <= row["delivered"])

    def test_by_state(self):
        _, smtp = self.shores(smtp={"judge": lambda m: b"550 5.7.1 no thanks\r\n" if b"letter 2" in m.octets else None})
        self.ferry(status=REFUSED)
        self.assertEqual(self.uids("--state=recorded"), ["uid1", "uid3"])
        self.assertEqual(self.uids("--state=refused"), ["uid2"])
        self.assertEqual(self.uids("--state", "seen"), [])
        self.assert_names(self.history("--state=lost", status=USAGE), "quarantined")
        shown = self.history("--state=refused").stdout
        self.assertIn("owed to thomas", shown)
        self.assertIn("550 5.7.1 no thanks", shown)

    def test_long_titles_leave_the_heading_at_80_columns(self):
        self.shores(1)
        self.options["account"] = {"t" * 60: self.options["account"]["thomas"]}
        self.popferry.configure(self.options)
        self.ferry()
        self.assertEqual(self.history().stdout.splitlines()[:2], ["t" * 60, "  " + self.identity])

    def test_gone(self):
        self.shores(keep=False)
        self.ferry()
        self.assertEqual(self.uids("--state=gone"), ["uid1", "uid2", "uid3"])

    def test_by_search(self):
        self.shores()
        self.ferry()
        self.assertEqual(self.uids("--search=id2"), ["uid2"])
        self.assertEqual(self.uids("--search", "nothing"), [])

    def test_since(self):
        pop3, _ = self.shores()
        self.ferry(env=shifted(-10 * 86400))
        pop3.mailboxes["thomas"].add(letters(4)[3], "uid4")
        self.ferry()
        for since in ("7d", "1h", "9d"):
            self.assertEqual(self.uids("--since=" + since), ["uid4"], since)
        self.assertEqual(len(self.uids("--since=11d")), 4)
        self.assertEqual(len(self.uids("--since=2001-01-01")), 4)
        self.assertEqual(self.uids("--since", "2999-12-31"), [])
        self.assertEqual(self.uids("--since", "2999-12-31T12:30"), [])

    @cases({"a word": "yesterday", "a number alone": "2026", "a broken date": "2026-13-01", "nothing": ""})
    def test_since_what(self, since):
        self.shores()
        self.assert_names(self.history("--since=" + since, status=USAGE), "--since")

    def test_by_account_and_by_mailbox(self):
        pop3, smtp = self.pop3({"one": letters(1), "two": letters(2)}), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        self.assertEqual(len(self.listed("one")), 1)
        self.assertEqual(len(self.listed(f"two@127.0.0.1:{pop3.port}")), 2)
        self.assertEqual(len(self.listed()), 3)
        self.assert_names(self.history("three", status=USAGE), "three")
        self.history("one", "two", status=USAGE)

    def test_a_mailbox_that_has_no_account_any_more(self):
        self.shores()
        self.ferry()
        self.options["account"] = {"other": {**self.options["account"]["thomas"], "username": "other"}}
        self.popferry.configure(self.options)
        self.assertEqual(len(self.listed(self.identity)), 3)
        self.assertEqual(self.history(self.identity).stdout.splitlines()[0], self.identity)

    def test_long_identities_are_shown_whole(self):
        pop3, _ = self.shores(0)
        pop3.mailboxes["thomas"].add(letters(1)[0], "u" * 70)
        self.ferry()
        self.assertIn("\n    " + "u" * 70 + "\n", self.history().stdout)

    def test_a_broken_history(self):
        self.shores()
        os.makedirs(self.popferry.state)
        with open(os.path.join(self.popferry.state, "history.db"), "w") as file:
            file.write("nonsense")
        self.history(status=STATE)


class Changes(HistoryCase):
    def again(self):
        """How many messages a run delivers now."""
        self.smtp_server.accepted.clear()
        self.ferry()
        return len(self.smtp_server.accepted)

    @cases({"forget": ["--forget=uid1", "thomas"], "seen": ["--seen", "thomas"], "retry": ["--retry"], "prune": ["--prune"],
            "move": ["--move", "a@b", "c@d"], "reset": ["--reset"]})
    def test_without_a_terminal_it_needs_yes(self, args):
        self.shores()
        self.ferry()
        self.assert_names(self.history(*args, status=USAGE), "--yes")
        self.assertEqual(len(self.uids()), 3)

    @cases({"two at once": ["--prune", "--retry"], "an account too many": ["--prune", "thomas"], "forget without account":
            ["--forget=uid1"], "seen without account": ["--seen"], "one name": ["--move", "a@b"], "a list with it": ["--prune", "--json"]})
    def test_wrong_use(self, args):
        self.shores()
        self.assertNotEqual(self.history("--yes", *args, status=USAGE).stderr, "")

    def test_forget_one(self):
        self.shores()
        self.ferry()
        self.assertEqual(self.again(), 0)
        self.assertEqual(self.history("--yes", "--forget", "uid2", "thomas").stdout, "1 message forgotten\n")
        self.assertEqual(self.uids(), ["uid1", "uid3"])
        self.assertEqual(self.again(), 1)
        self.assert_names(self.history("--yes", "--forget=uid9", "thomas", status=USAGE), "uid9")

    def test_seen(self):
        pop3, smtp = self.shores()
        self.assertEqual(self.history("--yes", "--seen", "thomas").stdout, "3 messages marked as seen\n")
        self.assertEqual((self.uids("--state=seen"), pop3.commands("DELE"), pop3.commands("RETR")), (["uid1", "uid2", "uid3"], [], []))
        self.assertEqual(self.again(), 0)
        pop3.mailboxes["thomas"].add(letters(4)[3], "uid4")
        self.assertEqual(self.again(), 1)
        self.assertEqual(len(pop3.left("thomas")), 4)

    def test_seen_after_some_recipients_had_it(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp(refuse={"bob@localhost": b"450 4.2.1 later\r\n"})
        self.fetchrc(pop3, smtp, recipients=["thomas", "bob"], keep=True)
        self.ferry(status=RETRY)
        self.history("--yes", "--seen", "thomas")
        smtp.refuse = {}
        self.ferry()
        self.assertEqual([m.recipients for m in smtp.accepted], [["thomas@localhost"]])

    def test_seen_after_a_notice(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp, max_size=10, oversize="headers")
        self.ferry()
        self.assertEqual(len(self.uids("--state=noticed")), 1)
        self.history("--yes", "--seen", "thomas")
        self.assertEqual((len(self.uids("--state=noticed")), len(self.uids("--state=seen"))), (0, 1))
        self.ferry("run", "--all-sizes")
        self.assertEqual((len(smtp.accepted), pop3.commands("RETR")), (1, []))

    def test_seen_where_mail_is_deleted_stays_there(self):
        """Mail that was never delivered by us is not ours to delete."""
        pop3, _ = self.shores(keep=False)
        self.history("--yes", "--seen", "thomas")
        self.assertEqual(self.again(), 0)

    def test_seen_without_uidl(self):
        self.shores(pop3={"caps": ("TOP", "USER"), "without": ("UIDL",)})
        self.assert_names(self.history("--yes", "--seen", "thomas", status=PROTOCOL), "UIDL")

    def test_seen_with_a_refused_login(self):
        self.shores(password="wrong")
        self.history("--yes", "--seen", "thomas", status=LOGIN)

    def test_seen_of_an_unknown_account(self):
        self.shores()
        self.history("--yes", "--seen", "nobody", status=USAGE)

    def test_retry(self):
        refuse = {"now": True}
        _, smtp = self.shores(smtp={"judge": lambda m: b"550 5.7.1 no\r\n" if refuse["now"] and b"letter 2" in m.octets else None})
        for _ in range(2):
            self.ferry(status=REFUSED)
        refuse["now"] = False
        self.ferry(status=REFUSED)
        self.assertEqual(len(smtp.accepted), 2, "it waits")
        self.history("--yes", "--retry", "thomas")
        self.ferry()
        self.assertEqual(len(smtp.accepted), 3)

    def test_retry_of_a_refused_login(self):
        self.shores(password="wrong")
        self.ferry(status=LOGIN)
        self.fetchrc(self.pop3_server, self.smtp_server, keep=True, password="wrong")
        logins = len(self.pop3_server.sessions)
        self.ferry(status=LOGIN)
        self.history("--yes", "--retry")
        self.ferry(status=LOGIN)
        self.assertGreater(len(self.pop3_server.sessions), logins)

    def test_retry_tells_of_logins(self):
        self.shores(password="wrong")
        self.ferry(status=LOGIN)
        self.assertEqual(self.history("--yes", "--retry", "thomas").stdout, "1 login and 0 messages will not wait any longer\n")
        self.assertEqual(self.history("--yes", "--retry", "thomas").stdout, "0 messages will not wait any longer\n")

    def test_what_is_marked_as_seen_or_forgotten_is_not_refused_any_more_in_status(self):
        self.shores(smtp={"judge": lambda m: b"550 5.7.1 no\r\n"})
        self.ferry(status=REFUSED)
        self.assertIn("0 waiting, 3 refused", self.ferry("status", status=None).stdout)
        self.history("--yes", "--forget=uid1", "thomas")
        self.assertIn("0 waiting, 2 refused", self.ferry("status", status=None).stdout)
        self.history("--yes", "--seen", "thomas")
        self.assertIn("0 waiting, 0 refused", self.ferry("status", status=None).stdout)

    def test_prune(self):
        pop3, _ = self.shores()
        self.ferry()
        pop3.mailboxes["thomas"].messages = self.messages[:1]
        self.ferry()
        self.assertEqual(len(self.uids()), 3)
        self.assertIn("2 messages forgotten", self.history("--yes", "--prune").stdout)
        self.assertEqual(self.uids(), ["uid1"])

    def test_prune_spares_what_a_run_holds(self):
        pop3, smtp = self.pop3({"one": [Message(letters(1)[0], "u1")], "two": [Message(letters(1)[0], "u1")]}), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        for mailbox in pop3.mailboxes.values():
            mailbox.messages = []
        self.ferry()
        pop3.mailboxes["one"].add(letters(1)[0], "u1")
        pop3.rules = [At("LIST", times=1).stall(20)]
        process = self.popferry.start("run", "one")
        self.wait_for(lambda: any("LIST" in session.seen for session in pop3.sessions[4:]))
        run = self.history("--yes", "--prune", status=RETRY)
        self.assert_names(run, "one@", "just now")
        self.assertEqual(run.stdout, "1 message forgotten that no mailbox lists any more\n")
        process.kill()
        self.popferry.finish(process)
        pop3.settle()
        self.assertEqual([row["mailbox"][:3] for row in self.listed()], ["one"])
        self.ferry()
        self.assertEqual(len(smtp.accepted), 2, "what came back is known")

    def moved(self):
        """The same mailbox under another name."""
        self.options["account"]["thomas"]["host"] = "localhost"
        self.popferry.configure(self.options)

    @cases({"the mailbox": lambda port: (f"thomas@127.0.0.1:{port}", f"thomas@LocalHost:{port}"),
            "the host": lambda port: (f"127.0.0.1:{port}", f"localhost:{port}")})
    def test_move(self, names):
        self.shores()
        self.ferry()
        self.moved()
        old, new = names(self.pop3_server.port)
        self.assertIn("3 messages", self.history("--yes", "--move", old, new).stdout)
        self.assertEqual(self.again(), 0)
        self.assertEqual({row["mailbox"] for row in self.listed()}, {f"thomas@localhost:{self.pop3_server.port}"})

    def test_move_of_a_host_takes_all_its_mailboxes(self):
        pop3, smtp = self.pop3({"one": letters(1), "two": letters(2)}), self.smtp()
        self.fetchrc(pop3, smtp, keep=True)
        self.ferry()
        self.history("--yes", "--move", f"127.0.0.1:{pop3.port}", "pop.example.org:995")
        self.assertEqual({row["mailbox"] for row in self.listed()}, {"one@pop.example.org", "two@pop.example.org"})

    @cases({"a mailbox and a host": ["a@b", "c"], "nobody": ["a@b.example", "c@d"], "no such host": ["pop.example", "pop2.example"],
            "a blank": ["127.0.0.1", "a b"]})
    def test_move_of_what(self, names):
        self.shores()
        self.ferry()
        self.history("--yes", "--move", *names, status=USAGE)
        self.assertEqual({row["mailbox"] for row in self.listed()}, {self.identity})

    def test_a_history_that_can_be_read_is_not_reset(self):
        self.shores()
        self.ferry()
        self.assert_names(self.history("--yes", "--reset", status=USAGE), "not damaged", "--forget")
        self.assertEqual(len(self.uids()), 3)

    def test_damage_that_only_a_whole_check_finds_may_be_reset(self):
        self.shores()
        self.ferry()
        db = sqlite3.connect(os.path.join(self.popferry.state, "history.db"))
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = replace(sql, '(mailbox, uid)', '(uid, mailbox)') WHERE name = 'message_absent'")
        db.commit()
        db.close()
        db = sqlite3.connect(os.path.join(self.popferry.state, "history.db"))
        db.execute("UPDATE message SET absent = 1")     # indexed the wrong way
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = replace(sql, '(uid, mailbox)', '(mailbox, uid)') WHERE name = 'message_absent'")
        db.commit()
        db.close()
        self.assertEqual(len(self.uids()), 3)
        self.assertIn("history.db.", self.history("--yes", "--reset").stdout)

    def test_reset(self):
        self.shores()
        self.ferry()
        with open(os.path.join(self.popferry.state, "history.db"), "r+b") as file:
            file.write(os.urandom(4096))
        self.history(status=STATE)
        self.assertIn("history.db.", self.history("--yes", "--reset").stdout)
        self.assertEqual(self.uids(), [])
        self.assertEqual(self.again(), 3)

    def test_a_run_that_holds_the_mailbox(self):
        self.shores()
        self.ferry()
        names = [n for n in os.listdir(self.popferry.state) if n.startswith("lock-")]
        files = [open(os.path.join(self.popferry.state, name), "r+") for name in names]
        for file in files:
            fcntl.flock(file, fcntl.LOCK_EX)
        self.assert_names(self.history("--yes", "--forget=uid1", "thomas", status=RETRY), "just now")
        self.history("--yes", "--seen", "thomas", status=RETRY)
        for file in files:
            file.close()
        self.assertEqual(len(self.uids()), 3)


class Asking(HistoryCase):
    @cases({"yes": ("y\n", 2), "no": ("n\n", 3), "nothing": ("\n", 3), "the end": ("\x04", 3)})
    def test_on_a_terminal(self, answer, left):
        self.shores()
        self.ferry()
        with Terminal(self.popferry, "history", "--forget=uid1", "thomas") as terminal:
            terminal.wait("[y/N] ")
            terminal.type(answer)
        self.assertEqual(terminal.status, OK)
        self.assertEqual(len(self.uids()), left)

    def test_seen_says_how_many(self):
        self.shores()
        with Terminal(self.popferry, "history", "--seen", "thomas") as terminal:
            terminal.wait("3 messages of thomas")
            terminal.wait("[y/N] ")
            terminal.type("y\n")
            terminal.wait("3 messages marked")
        self.assertEqual(terminal.status, OK)
