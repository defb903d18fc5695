"""Mistakes in the fetchrc: all of them at once, each with file and line, exit status 78, and no server is touched."""
import os
import re
import subprocess

from kit.case import PASSWORD, Case, cases
from kit.messages import letters
from kit.popferry import CONFIG, OK, program

GOOD = """timeout = 5
destination "local" {
    host = "127.0.0.1"
    port = %(smtp)d
}
account "gmx" {
    host = "127.0.0.1"
    port = %(pop3)d
    tls = "none"
    username = "thomas"
    password = "correct horse"
    recipients = {"thomas"}
%(more)s}
%(behind)s"""


class Fetchrc(Case):
    def write(self, more="", behind=""):
        self.far, self.near = self.pop3(letters(1)), self.smtp()
        text = GOOD % {"smtp": self.near.port, "pop3": self.far.port, "more": more, "behind": behind}
        name = more.split("=")[0]
        head, account = text.split('account "gmx"', 1)
        if name and account.count(name + "=") > 1:      # it takes the place of the good one
            account = re.sub(rf"{name}=.*\n", "    # taken out\n", account, count=1)
        text = head + 'account "gmx"' + account
        self.popferry.configure(text)

    def mistakes(self, *args, **how):
        run = self.ferry(*args, status=CONFIG, **how)
        self.assertEqual((self.far.sessions, self.near.sessions), ([], []))
        self.assertIn(self.popferry.fetchrc + ":", run.stderr)
        return run


class Mistakes(Fetchrc):
    @cases({
        "an unknown option with the nearest name": ("    usrname = \"x\"\n", ["usrname", "username"]),
        "a wrong type": ("    keep = \"perhaps\"\n", ["keep", "perhaps"]),
        "a port out of range": ("    port = 99999\n", ["port", "99999"]),
        "a port that is no number": ("    port = \"pop3\"\n", ["port", "pop3"]),
        "an unknown destination": ("    destination = \"nowhere\"\n", ["nowhere"]),
        "an unknown word": ("    tls = \"maybe\"\n", ["tls", "maybe", "implicit"]),
        "an unset variable": ("    max_size = \"${NOT_SET_ANYWHERE}\"\n", ["NOT_SET_ANYWHERE"]),
        "a size without sense": ("    max_size = \"25X\"\n", ["max_size", "25X"]),
        "control characters in a user name": ("    username = \"tho\\nmas\"\n", ["username"]),
        "control characters in a password": ("    password = \"a\\x0ab\"\n", ["password"]),
        "an impossible recipient": ("    recipients = {\"a b<c>\"}\n", ["recipients"]),
        "a fingerprint that is none": ("    tls_fingerprint = \"sha256:zz\"\n", ["tls_fingerprint"]),
    })
    def test_in_an_account(self, more, words):
        self.write(more)
        self.assert_names(self.mistakes(), *words)

    def test_the_line_is_named(self):
        self.write("    usrname = \"x\"\n")
        self.assertRegex(self.mistakes().stderr, re.escape(self.popferry.fetchrc) + ":13: ")

    def test_all_mistakes_are_told_in_one_go(self):
        self.write("    usrname = \"x\"\n    keep = \"perhaps\"\n    destination = \"nowhere\"\n", "jbos = 3\n")
        run = self.mistakes()
        for line, word in ((13, "usrname"), (14, "perhaps"), (15, "nowhere"), (17, "jbos")):
            self.assertRegex(run.stderr, rf":{line}: [^\n]*{word}")

    @cases({
        "a duplicate account": "account \"gmx\" {\n host = \"other.example\"\n username = \"x\"\n password = \"y\"\n recipients = {\"thomas\"}\n}\n",
        "a duplicate destination": "destination \"local\" {\n host = \"other.example\"\n}\n",
        "a missing host": "account \"web\" {\n username = \"x\"\n password = \"y\"\n recipients = {\"thomas\"}\n}\n",
        "a missing user name": "account \"web\" {\n host = \"x.example\"\n password = \"y\"\n recipients = {\"thomas\"}\n}\n",
        "root without recipients": "account \"web\" {\n host = \"x.example\"\n username = \"x\"\n password = \"y\"\n}\n",
        "STARTTLS for LMTP": "destination \"lda\" {\n protocol = \"lmtp\"\n host = \"localhost\"\n tls = \"starttls\"\n}\n",
        "a syntax error": "account \"web\" {\n host = \n",
        "a section that is not closed": "account \"web\" {\n",
    })
    def test_behind_the_account(self, behind):
        if "recipients" not in behind and "password" in behind and os.geteuid() != 0:
            self.skipTest("only root must name recipients")
        self.write(behind=behind)
        self.mistakes()

    def test_a_duplicate_mailbox(self):
        self.write()
        self.write(behind=f"account \"again\" {{\n host = \"127.0.0.1\"\n port = {self.far.port + 1}\n tls = \"none\"\n username = \"thomas\"\n"
                          "password = \"y\"\n recipients = {\"thomas\"}\n}\n")
        with open(self.popferry.fetchrc) as file:
            text = re.sub(r"port = \d+", f"port = {self.far.port}", file.read())
        self.popferry.configure(text)
        self.assert_names(self.mistakes(), ":14: ", "thomas@127.0.0.1")

    def test_no_password_is_shown_in_a_mistake(self):
        self.write("    usrname = \"x\"\n")
        self.assertNotIn(PASSWORD, self.mistakes().stderr)

    def test_check_tells_them_too(self):
        self.write("    usrname = \"x\"\n")
        self.assert_names(self.mistakes("check"), "usrname")

    def test_a_missing_file(self):
        run = self.popferry.run("-c", os.path.join(self.directory, "gone"), plain=True)
        self.assertEqual(run.status, CONFIG)
        self.assert_names(run, "gone")


class Language(Fetchrc):
    def test_variables_are_expanded(self):
        self.write()
        with open(self.popferry.fetchrc) as file:
            text = file.read().replace('"correct horse"', '"${POP_PASSWORD}"').replace('username = "thomas"', 'username = "${POP_USER}"')
        self.popferry.configure(text)
        self.ferry(env={"POP_PASSWORD": PASSWORD, "POP_USER": "thomas"})
        self.assertEqual(len(self.near.accepted), 1)

    def test_include_is_relative_to_the_including_file(self):
        self.write()
        os.mkdir(os.path.join(self.directory, "conf"))
        os.rename(self.popferry.fetchrc, os.path.join(self.directory, "conf", "accounts"))
        self.popferry.fetchrc = os.path.join(self.directory, "conf", "fetchrc")
        self.popferry.configure('include("accounts")\n')
        self.ferry()
        self.assertEqual(len(self.near.accepted), 1)

    def test_a_mistake_in_an_included_file_names_that_file(self):
        self.write("    usrname = \"x\"\n")
        os.rename(self.popferry.fetchrc, os.path.join(self.directory, "accounts"))
        self.popferry.configure('include("accounts")\n')
        run = self.ferry(status=CONFIG)
        self.assertRegex(run.stderr, r"accounts:13: ")

    def test_a_file_that_includes_itself(self):
        self.write(behind='include("fetchrc")\n')
        self.ferry(status=CONFIG)

    def test_comments_and_empty_lines(self):
        self.write("# a comment\n// another\n/* and\n another */\n\n")
        self.ferry(status=OK)

    def test_a_credential_may_carry_the_ACL_with_which_systemd_lets_its_service_read_it(self):
        """That ACL shows as a right of the group (tmpfs of systemd 254 and later)."""
        self.write()
        service = {"CREDENTIALS_DIRECTORY": self.directory}
        for mode, env, status in ((0o440, service, OK), (0o444, service, CONFIG), (0o440, None, CONFIG)):
            os.chmod(self.popferry.fetchrc, mode)
            self.ferry(env=env, status=status)

    def test_a_user_of_DynamicUser_is_no_recipient(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        text = 'destination "local" { port = 9 }\naccount "gmx" { host = "127.0.0.1" username = "t" password = \'x\' }\n'
        path = os.path.join(self.directory, "dynamic")
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o600)
        os.chown(path, 61500, 61500)
        os.chmod(self.directory, 0o755)
        done = subprocess.run([*program(), "-c", path, "status"], capture_output=True, text=True, user=61500, group=61500)
        self.assertEqual(done.returncode, CONFIG)
        self.assertIn("must name them", done.stderr)
