"""From a real Dovecot into a real Postfix queue, and into Dovecot's LMTP: every message compared octet for octet."""
import os
import poplib
import tempfile
import unittest

from kit import dovecot as dovecots
from kit import postfix as postfixes
from kit.case import PASSWORD, Case, cases
from kit.certs import Certs
from kit.dovecot import Dovecot
from kit.messages import ODD, letters
from kit.popferry import LOGIN, PROTOCOL, RETRY, expected, take_trace
from kit.ports import free_port, has_ipv6
from kit.postfix import Postfix

# What Dovecot's Maildir and Postfix's own header handling leave as it is. Bare line ends are the scripted server's task:
# Dovecot makes CRLF of them before they are on the wire.
ODDITIES = [m for name, m in ODD.items() if b"\n" not in m.replace(b"\r\n", b"") and b"\r" not in m.replace(b"\r\n", b"")
            and name not in ("no header at all", "From line first", "dot at the start")]


def seen_by_pop3(octets):
    """A Maildir file's octets as Dovecot sends them; an empty one as an empty line."""
    return b"\r\n" if not octets else octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Peers(Case):
    @classmethod
    def setUpClass(cls):
        if not dovecots.available() or not postfixes.available():
            raise unittest.SkipTest("needs root, Dovecot and Postfix")
        directory = tempfile.mkdtemp(prefix="postfix-", dir=getattr(cls, "directory_of_class", None))
        os.chmod(directory, 0o711)
        cls.postfix = Postfix(directory).start()
        cls.addClassCleanup(cls.postfix.stop)

    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o711)
        self.postfix.empty()
        self.reals = []

    def dovecot(self, mailboxes, **how):
        server = Dovecot(os.path.join(self.directory, f"dovecot{len(self.reals)}"), mailboxes, PASSWORD, **how)
        server.start()
        self.reals.append(server)
        self.addCleanup(server.stop)
        return server

    def context(self):
        return super().context() + "\n" + "\n".join(s.transcript() for s in [*self.reals, self.postfix])

    def real_account(self, server, user, tls="none", **more):
        """tls: none, starttls or implicit."""
        account = {"host": "localhost", "port": server.tls_port if tls == "implicit" else server.port, "tls": tls,
                   "username": user, "password": PASSWORD, "recipients": [user]}
        if tls != "none":
            account["tls_ca_file"] = Certs.shared().ca
        account.update(more)
        return account

    def configure(self, accounts, destination=None, **top):
        self.popferry.configure({"timeout": 20, **top, "destination": {"local": destination or self.destination(self.postfix)},
                                 "account": accounts})

    def assert_all_there(self, user, sent):
        got = []
        for octets in self.postfix.arrived(user):
            trace, rest = take_trace(octets)
            self.assertIsNotNone(trace, octets[:300])
            got.append(rest)
        wanted = sorted(expected(seen_by_pop3(m)) for m in sent)
        self.assertEqual([m[:100] for m in sorted(got)], [m[:100] for m in wanted], user)
        self.assertEqual(sorted(got), wanted)


class DeliverAndDelete(Peers):
    USERS = ("thomas", "anna", "karl")

    @cases({f"{tls} {auth}": (tls, auth) for tls in ("none", "starttls", "implicit") for auth in ("auto", "plain")} |
           {"CRAM-MD5": ("none", "cram-md5"), "APOP": ("none", "apop"), "USER": ("starttls", "user"), "LOGIN": ("implicit", "login")})
    def test_several_accounts_are_emptied(self, tls, auth):
        boxes = {user: letters(3, sender=f"to-{user}@example.test") + ODDITIES for user in self.USERS}
        server = self.dovecot(boxes)
        self.configure({user: self.real_account(server, user, tls, auth=auth) for user in boxes})
        self.assert_silent(self.ferry())
        for user, sent in boxes.items():
            self.assert_all_there(user, sent)
            self.assertEqual(server.left(user), [])
        self.assert_silent(self.ferry())
        self.assert_all_there("thomas", boxes["thomas"])

    def test_kept_mail_is_skipped_in_the_next_run(self):
        boxes = {user: letters(4, sender=f"to-{user}@example.test") for user in self.USERS}
        server = self.dovecot(boxes)
        self.configure({user: self.real_account(server, user, "implicit", keep=True) for user in boxes})
        self.ferry()
        server.add("anna", letters(5)[4])
        self.ferry()
        self.ferry()
        self.assert_all_there("thomas", boxes["thomas"])
        self.assert_all_there("anna", boxes["anna"] + [letters(5)[4]])
        self.assertEqual([len(server.left(u)) for u in self.USERS], [4, 5, 4])

    @unittest.skipUnless(has_ipv6(), "no IPv6 loopback")
    def test_over_ipv6(self):
        server = self.dovecot({"thomas": letters(3)})
        account = self.real_account(server, "thomas", "implicit", host="::1")
        self.configure({"thomas": account})
        self.assert_silent(self.ferry())
        self.assert_all_there("thomas", letters(3))
        self.assertEqual(server.left("thomas"), [])

    def test_twenty_accounts_at_once(self):
        boxes = {f"user{n}": letters(10, sender=f"u{n}@example.test") for n in range(20)}
        server = self.dovecot(boxes)
        self.configure({user: self.real_account(server, user, "implicit") for user in boxes}, jobs=20, jobs_per_host=20)
        self.assert_silent(self.ferry())
        for user, sent in boxes.items():
            self.assert_all_there(user, sent)
            self.assertEqual(server.left(user), [])

    def test_through_starttls_into_postfix(self):
        server = self.dovecot({"thomas": letters(5)})
        destination = self.destination(self.postfix, host="localhost", tls="starttls", tls_ca_file=Certs.shared().ca)
        self.configure({"thomas": self.real_account(server, "thomas")}, destination)
        self.assert_silent(self.ferry())
        self.assert_all_there("thomas", letters(5))

    def test_a_recipient_that_postfix_does_not_know_costs_nothing(self):
        server = self.dovecot({"thomas": letters(2), "anna": letters(2)})
        self.configure({"thomas": self.real_account(server, "thomas", recipients=["thomas", "stranger"]),
                        "anna": self.real_account(server, "anna")})
        run = self.ferry(status=None)
        self.assertNotEqual(run.status, 0)
        self.assert_names(run, "thomas", "stranger@localhost", "User unknown")
        self.ferry(status=None)
        self.assert_all_there("thomas", letters(2))
        self.assert_all_there("anna", letters(2))
        self.assertEqual([len(server.left(u)) for u in ("thomas", "anna")], [2, 0])


class Refusals(Peers):
    """A fault of one account names it, leaves its mail alone, and does not touch the others."""

    def one_bad(self, bad, status, *words, server=None, good=None, **top):
        good = good or self.dovecot({"anna": letters(2, sender="a@example.test"), "karl": letters(2, sender="k@example.test")})
        self.configure({"thomas": bad, "anna": self.real_account(good, "anna"), "karl": self.real_account(good, "karl", "implicit")}, **top)
        run = self.ferry(status=status)
        self.assert_names(run, "thomas", *words)
        for user in ("anna", "karl"):
            self.assertNotIn(user, run.stderr)
            self.assert_all_there(user, letters(2, sender=f"{user[0]}@example.test"))
        self.assertEqual(self.postfix.stored("thomas"), [])
        if server:
            self.assertEqual(len(server.left("thomas")), 1)
        return run

    @cases({f"{name} {tls}": (name, tls) for name in ("wrong_host", "expired", "self_signed") for tls in ("starttls", "implicit")})
    def test_a_certificate_is_refused(self, name, tls):
        server = self.dovecot({"thomas": letters(1)}, cert=getattr(Certs.shared(), name))
        self.one_bad(self.real_account(server, "thomas", tls), PROTOCOL, "certificate", server=server)
        self.assertNotIn("user=<thomas>", server.log())

    @cases({"starttls": "starttls", "implicit": "implicit"})
    def test_a_pin_that_does_not_match_is_refused(self, tls):
        server = self.dovecot({"thomas": letters(1)})
        pin = "sha256:" + Certs.shared().self_signed.sha256
        self.one_bad(self.real_account(server, "thomas", tls, tls_fingerprint=pin), PROTOCOL, server=server)
        self.assertNotIn("user=<thomas>", server.log())

    @cases({"self-signed": "self_signed", "expired": "expired", "wrong host": "wrong_host"})
    def test_a_pin_that_matches_stands_in_for_the_authority(self, name):
        cert = getattr(Certs.shared(), name)
        server = self.dovecot({"thomas": letters(1)}, cert=cert)
        self.configure({"thomas": self.real_account(server, "thomas", "implicit", tls_ca_file=None, tls_fingerprint="sha256:" + cert.sha256)})
        self.assert_silent(self.ferry())
        self.assert_all_there("thomas", letters(1))

    def test_clear_text_is_no_way_out_where_stls_is_missing(self):
        server = self.dovecot({"thomas": letters(1)}, settings="ssl = no")
        self.one_bad(self.real_account(server, "thomas", "starttls"), PROTOCOL, server=server)
        self.assertNotIn("user=<thomas>", server.log())

    def test_a_wrong_password(self):
        server = self.dovecot({"thomas": letters(1)})
        self.one_bad(self.real_account(server, "thomas", password="nonsense"), LOGIN, "-ERR", server=server)

    def test_a_mailbox_in_use(self):
        server = self.dovecot({"thomas": letters(1)})
        other = poplib.POP3("127.0.0.1", server.port)
        other.user("thomas")
        other.pass_(PASSWORD)
        self.addCleanup(other.close)
        self.one_bad(self.real_account(server, "thomas"), RETRY, "[IN-USE]", server=server)

    def test_one_account_down(self):
        bad = {"host": "127.0.0.1", "port": free_port(), "tls": "none", "username": "thomas", "password": "x", "recipients": ["thomas"]}
        self.one_bad(bad, RETRY, "127.0.0.1", "refused")

    def test_a_host_that_does_not_exist(self):
        bad = {"host": "pop.nowhere.invalid", "tls": "implicit", "username": "thomas", "password": "x", "recipients": ["thomas"]}
        self.one_bad(bad, RETRY, "pop.nowhere.invalid", timeout=5)

    def test_smtp_down(self):
        server = self.dovecot({"thomas": letters(3), "anna": letters(3)})
        accounts = {user: self.real_account(server, user) for user in ("thomas", "anna")}
        self.configure(accounts, {"host": "127.0.0.1", "port": free_port()})
        run = self.ferry(status=RETRY)
        self.assert_names(run, "127.0.0.1", "refused")
        self.assertEqual([len(server.left(u)) for u in accounts], [3, 3])
        self.configure(accounts)
        self.ferry()
        for user in accounts:
            self.assert_all_there(user, letters(3))
            self.assertEqual(server.left(user), [])


class Lmtp(Peers):
    """Into Dovecot's LMTP, which stores below its own fields; line ends are LF there."""

    def stored(self, server, user):
        found = []
        for octets in server.left(user):
            at = octets.find(b"\nReceived:", octets.find(b"\nReceived:") + 1) + 1      # Dovecot's own stands first
            trace, rest = take_trace(octets[at:].replace(b"\n", b"\r\n"))
            self.assertIsNotNone(trace, octets[:500])
            found.append(rest)
        return sorted(found)

    @cases({"TCP": False, "unix socket": True})
    def test_every_message_is_stored(self, local):
        sent = letters(4) + ODDITIES
        source, target = self.dovecot({"thomas": sent}), self.dovecot({"thomas": [], "anna": []})
        destination = {"protocol": "lmtp", **({"socket": target.lmtp_socket} if local else {"host": "127.0.0.1", "port": target.lmtp_port})}
        self.configure({"thomas": self.real_account(source, "thomas", recipients=["thomas", "anna"])}, destination)
        self.assert_silent(self.ferry())
        wanted = sorted(expected(seen_by_pop3(m)) for m in sent)
        for user in ("thomas", "anna"):
            self.assertEqual([m[:80] for m in self.stored(target, user)], [m[:80] for m in wanted])
            self.assertEqual(self.stored(target, user), wanted)
        self.assertEqual(source.left("thomas"), [])

    def test_a_full_mailbox_is_served_later_and_the_other_only_once(self):
        source, target = self.dovecot({"thomas": letters(2)}), self.dovecot({"thomas": [], "anna": []})
        os.rename(target.maildir("anna"), target.maildir("anna") + ".away")
        with open(target.maildir("anna"), "w"):     # no directory: a temporary failure for anna alone
            pass
        destination = {"protocol": "lmtp", "socket": target.lmtp_socket}
        self.configure({"thomas": self.real_account(source, "thomas", recipients=["thomas", "anna"])}, destination)
        self.ferry(status=RETRY)
        self.assertEqual(len(source.left("thomas")), 2)
        os.unlink(target.maildir("anna"))
        os.rename(target.maildir("anna") + ".away", target.maildir("anna"))
        self.ferry()
        for user in ("thomas", "anna"):
            self.assertEqual(len(target.left(user)), 2, user)
        self.assertEqual(source.left("thomas"), [])
