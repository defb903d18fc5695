"""talk, check and history against a real Dovecot and a real Postfix."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from test_dovecot_postfix import Peers  # noqa: E402

from kit.case import PASSWORD, cases  # noqa: E402
from kit.messages import letters  # noqa: E402
from kit.popferry import REFUSED  # noqa: E402


class ByHand(Peers):
    @cases({"none": "none", "starttls": "starttls", "implicit": "implicit"})
    def test_talk_to_dovecot(self, tls):
        server = self.dovecot({"thomas": letters(3)})
        self.configure({"thomas": self.real_account(server, "thomas", tls)})
        run = self.ferry("talk", "thomas", typed=b"STAT\nLIST\nUIDL 1\nTOP 1 0\nCAPA\nLAST\nDELE 1\nRSET\nDELE 2\nNOOP\n")
        for words in ("> STAT\n+OK 3 ", "Subject: letter 1", "\nPIPELINING\n", "+OK Marked to be deleted.", "> QUIT\n+OK Logging out"):
            self.assertIn(words, run.stdout)
        self.assertEqual(len(server.left("thomas")), 2, "QUIT deletes what was marked")

    def test_the_login_by_hand(self):
        server = self.dovecot({"thomas": letters(1)})
        self.configure({"thomas": self.real_account(server, "thomas", "starttls")})
        run = self.ferry("talk", "--no-login", "thomas", typed=f"USER thomas\nPASS {PASSWORD}\nSTAT\n".encode())
        self.assertIn("> PASS ***\n+OK Logged in.\n> STAT\n+OK 1 ", run.stdout)

    def test_talk_to_postfix(self):
        self.configure({"thomas": self.real_account(self.dovecot({"thomas": []}), "thomas")})
        run = self.ferry("talk", "local", typed=b"EHLO localhost\nVRFY thomas\nHELP\nTURN\nMAIL FROM:<>\nRCPT TO:<thomas@localhost>\n"
                                               b"DATA\nSubject: by hand\n\n..........\n.\nMAIL FROM:<>\nRSET\n")
        self.assertRegex(run.stdout, r"> \.\n250 2\.0\.0 Ok: queued as")
        (octets,) = self.postfix.arrived("thomas")
        self.assertIn(b"\r\n\r\n..........\r\n", octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    @cases({"none": "none", "starttls": "starttls", "implicit": "implicit"})
    def test_check(self, tls):
        server = self.dovecot({"thomas": letters(3), "anna": letters(1)})
        self.configure({user: self.real_account(server, user, tls) for user in ("thomas", "anna")})
        run = self.ferry("check")
        self.assertIn("3 new", run.stdout)
        self.assertIn("All is well.", run.stdout)
        self.assertEqual((len(server.left("thomas")), self.postfix.arrived("thomas")), (3, []))
        self.assertFalse(os.path.exists(self.popferry.state))

    def test_check_of_an_unknown_recipient(self):
        server = self.dovecot({"thomas": letters(1)})
        self.configure({"thomas": self.real_account(server, "thomas", recipients=["nobody-here"])})
        self.assertIn("550 5.1.1", self.ferry("check", status=REFUSED).stdout)

    def test_seen_and_forget(self):
        server = self.dovecot({"thomas": letters(3)})
        self.configure({"thomas": self.real_account(server, "thomas", keep=True)})
        self.assertIn("3 messages marked", self.ferry("history", "--yes", "--seen", "thomas").stdout)
        self.assert_silent(self.ferry())
        self.assertEqual(self.postfix.arrived("thomas"), [])
        self.assertEqual(len(server.left("thomas")), 3)
