"""Moving over from the real fetchmail, mpop and getmail: what they have fetched does not come again."""
import os
import pwd
import re
import shutil
import subprocess
import unittest

from kit.case import PASSWORD, Case, cases
from kit.messages import letters
from kit.popferry import CONFIG, OK, USAGE, die_with_parent, expected, program, take_trace


class Moving(Case):
    """fetch() runs the other program once on the mailboxes; then popferry import, then popferry."""
    program = None

    def setUp(self):
        super().setUp()
        if self.program and shutil.which(self.program) is None:
            raise unittest.SkipTest(f"needs {self.program}")
        os.chmod(self.directory, 0o755)
        self.home = self.popferry.home
        self.mail = os.path.join(self.directory, "Maildir")
        for part in ("new", "cur", "tmp"):
            os.makedirs(os.path.join(self.mail, part))
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.as_user = None
        if os.geteuid() == 0:       # getmail refuses to deliver as root
            self.as_user = pwd.getpwnam("nobody")
            for path in (self.home, self.mail, *(os.path.join(self.mail, p) for p in os.listdir(self.mail))):
                os.chown(path, self.as_user.pw_uid, self.as_user.pw_gid)

    def write(self, name, text):
        path = os.path.join(self.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o600)
        if self.as_user:
            for made in (path, os.path.dirname(path), os.path.dirname(os.path.dirname(path))):
                if made.startswith(self.home):
                    os.chown(made, self.as_user.pw_uid, self.as_user.pw_gid)
        return path

    def fetch(self, *command, expect=(0,)):
        def become():
            die_with_parent()
            if self.as_user:
                os.setgid(self.as_user.pw_gid)
                os.setuid(self.as_user.pw_uid)
        env = {"HOME": self.home, "PATH": os.environ["PATH"], "USER": "nobody" if self.as_user else self.user, "LC_ALL": "C"}
        done = subprocess.run(command, env=env, cwd=self.home, capture_output=True, text=True, timeout=60, preexec_fn=become)
        self.assertIn(done.returncode, expect, done.stdout + done.stderr)
        for server in self.servers:
            server.settle(5)

    def take_over(self, *files):
        """popferry import; what it prints becomes the fetchrc, with the sink as destination where there was none."""
        run = self.popferry.run("--state-dir", self.popferry.state, "import", "--yes", *files, plain=True)
        self.expect_status(run, OK)
        self.popferry.runs.remove(run)      # it shows passwords, as it must
        self.assertNotIn(PASSWORD, run.stderr)
        text = run.stdout
        if "destination \"" not in text:
            text += f'\ndestination "local" {{\n    host = "127.0.0.1"\n    port = {self.sink.port}\n}}\n'
        self.popferry.configure("timeout = 5\n" + text)
        return run

    def after(self, pop3, sent):
        """Nothing comes again, new mail comes, and what was there stays there."""
        before = len(self.sink.accepted)
        self.ferry()
        self.assertEqual(len(self.sink.accepted), before, "mail that the other program had fetched has come again")
        fresh = letters(len(sent) + 1)[-1]
        pop3.mailboxes["thomas@gmx.de"].add(fresh)
        self.ferry()
        self.assertEqual(len(self.sink.accepted), before + 1)
        self.assertEqual(take_trace(self.sink.accepted[-1].octets)[1], expected(fresh))
        self.assertEqual(pop3.left("thomas@gmx.de"), [*sent, fresh])

    def shores(self, users=("thomas@gmx.de",)):
        self.sink = self.smtp()
        self.sent = letters(5)
        self.careful = False        # the others are not
        return self.pop3({user: self.sent for user in users})


class Fetchmail(Moving):
    program = "fetchmail"

    def test_a_fetchmailrc_and_its_fetchids(self):
        pop3 = self.shores()
        path = self.write(".fetchmailrc", f"""
# thomas's mail
set daemon 300
defaults proto pop3 uidl timeout 10
poll gmx via 127.0.0.1 port {pop3.port}:
    user 'thomas@gmx.de' there with password "correct\\x20horse" is 'tom' here
    options keep no rewrite sslproto '' smtphost 127.0.0.1/{self.sink.port} antispam 571
""")
        self.fetch("fetchmail", "-d0")
        self.assertEqual(len(self.sink.accepted), 5)
        self.assertTrue(os.path.exists(os.path.join(self.home, ".fetchids")))
        run = self.take_over(path)
        self.assertIn("antispam 571", run.stdout)
        self.after(pop3, self.sent)
        self.assertEqual(self.sink.accepted[-1].recipients, ["tom@localhost"])

    def test_users_with_spaces_and_an_id_file_elsewhere(self):
        pop3 = self.shores(("thomas@gmx.de", "a b@c"))
        path = self.write(".fetchmailrc", f"""set idfile "{self.home}/ids"
poll 127.0.0.1 proto pop3 service {pop3.port} uidl
    user "thomas@gmx.de" password "{PASSWORD}" is tom keep sslproto '' smtphost 127.0.0.1/{self.sink.port}
    user "a b@c" password "{PASSWORD}" is ab keep sslproto '' smtphost 127.0.0.1/{self.sink.port}
""")
        self.fetch("fetchmail", "-d0")
        self.assertEqual(len(self.sink.accepted), 10)
        self.take_over(path)
        self.after(pop3, self.sent)

    def test_what_was_not_fetched_yet_comes(self):
        pop3 = self.shores()
        path = self.write(".fetchmailrc", f"""poll 127.0.0.1 proto pop3 port {pop3.port} uidl
    user "thomas@gmx.de" pass "{PASSWORD}" is tom keep fetchlimit 2 sslproto '' smtphost 127.0.0.1/{self.sink.port}
""")
        self.fetch("fetchmail", "-d0", expect=(0, 13))
        self.assertEqual(len(self.sink.accepted), 2)
        self.take_over(path)
        self.ferry()
        self.assertEqual(len(self.sink.accepted), 4, "fetchlimit holds for popferry, too")
        self.ferry()
        self.assertEqual(len(self.sink.accepted), 5)


class Mpop(Moving):
    program = "mpop"

    @cases({"the default UID list": "", "an own one": "uidls_file ~/lists/%H-%U\n", "one for all": "uidls_file ~/uidls\n"})
    def test_a_config_and_its_uid_lists(self, where):
        pop3 = self.shores(("thomas@gmx.de", "second"))
        path = self.write(".mpoprc", f"""# mail
defaults
tls off
timeout 10
delivery maildir {self.mail}
{where}keep on
auth plain

account first
host 127.0.0.1
port {pop3.port}
user thomas@gmx.de
password "{PASSWORD}"

account second : first
user second
passwordeval "echo {PASSWORD}"

account default : first
""")
        if self.as_user:
            os.chown(self.home, self.as_user.pw_uid, self.as_user.pw_gid)
        for account in ("first", "second"):
            self.fetch("mpop", "-C", path, "-q", account)
        self.assertEqual(len(os.listdir(os.path.join(self.mail, "new"))), 10)
        run = self.take_over(path)
        self.assertIn("delivery maildir", run.stdout)
        self.after(pop3, self.sent)


class Getmail(Moving):
    program = "getmail"

    @cases({"in ~/.config": ".config/getmail", "in ~/.getmail": ".getmail"})
    def test_an_rc_file_and_its_oldmail_file(self, where):
        pop3 = self.shores()
        path = self.write(f"{where}/getmailrc", f"""[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = {pop3.port}
username = thomas@gmx.de
password_command = ("/bin/echo",
    "{PASSWORD}")

[destination]
type = Maildir
path = {self.mail}/

[options]
read_all = false
verbose = 0
""")
        self.fetch("getmail", "--getmaildir", os.path.dirname(path))
        self.assertEqual(len(os.listdir(os.path.join(self.mail, "new"))), 5)
        run = self.take_over(path)
        self.assertIn("type = Maildir", run.stdout)
        self.after(pop3, self.sent)


RC = {"fetchmail": ("poll pop.example proto pop3 user u password secret1 is u keep ssl\n"),
      "mpop": "account a\nhost pop.example\ntls on\ntls_starttls off\nuser u\npassword secret1\nkeep on\n",
      "getmail": "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = pop.example\nusername = u\npassword = secret1\n"
                 "[options]\ndelete = false\n"}


class Reading(Moving):
    """Files that nobody has run."""

    def imported(self, text, *args, status=OK, ids=None):
        path = self.write("rc", text)
        if ids is not None:
            self.write(".fetchids", ids)
        run = self.popferry.run("--state-dir", self.popferry.state, "import", *args, path, plain=True)
        self.expect_status(run, status)
        return run

    @cases({name: name for name in RC})
    def test_each_program_is_recognised_and_the_fetchrc_loads(self, name):
        run = self.imported(RC[name], "--dry-run")
        self.assertIn(f"import from {name}'s", run.stdout)
        for line in ('host = "pop.example"', 'tls = "implicit"', 'username = "u"', 'password = "secret1"', "keep = true"):
            self.assertIn(line, run.stdout)
        self.popferry.configure(run.stdout)
        run = self.popferry.run("--dry-run", "nobody")
        self.expect_status(run, USAGE)      # it loads: only the account is unknown

    @cases({"single quote": "it's", "dollar": "a${HOME}b", "backslash": "a\\\\b", "hash": "a#b", "double quote": 'a"b',
            "umlaut": "Gr\u00fc\u00dfe", "brace": "a}b{", "comment": "a/*b//c"})
    def test_a_password_arrives_as_it_is(self, password):
        pop3 = self.shores()
        pop3.mailboxes["thomas@gmx.de"].password = password.replace("\\\\", "\\")
        quoted = f"'{password}'" if '"' in password else f'"{password}"'
        run = self.imported(f"poll 127.0.0.1 proto pop3 port {pop3.port} user thomas@gmx.de password {quoted} is tom "
                            f"sslproto '' smtphost 127.0.0.1/{self.sink.port}\n")
        self.popferry.configure(run.stdout)
        self.ferry()
        self.assertEqual(len(self.sink.accepted), 5)

    def test_certificates_of_a_mailbox_without_tls_are_left_out(self):
        pop3 = self.shores()
        pop3.mailboxes["thomas@gmx.de"].password = "another"
        run = self.imported(f"poll 127.0.0.1 proto pop3 port {pop3.port} user thomas@gmx.de password another is tom "
                            f"sslproto '' sslcertfile /etc/ca.pem sslcert /etc/own.pem smtphost 127.0.0.1/{self.sink.port}\n")
        self.popferry.configure(run.stdout)
        self.ferry()
        self.assertEqual(len(self.sink.accepted), 5)

    def test_the_history_changes_only_when_told_to(self):
        ids = "u@pop.example one\nu@pop.example two\nother@elsewhere three\n"
        run = self.imported(RC["fetchmail"], "--dry-run", ids=ids)
        self.assertIn("1 lines of", run.stdout)
        self.assertFalse(os.path.exists(self.popferry.state))
        run = self.imported(RC["fetchmail"], status=USAGE, ids=ids)
        self.assert_names(run, "2 seen messages", "--yes")
        self.assertIn("account", run.stdout)
        self.assertFalse(os.path.exists(self.popferry.state))
        self.imported(RC["fetchmail"], "--yes", ids=ids)
        self.assertTrue(os.path.exists(os.path.join(self.popferry.state, "history.db")))

    def test_the_output_may_become_the_fetchrc_at_once(self):
        path = self.write("rc", RC["fetchmail"])
        self.write(".fetchids", "u@pop.example one\n")
        fetchrc = os.path.join(self.home, "config", "popferry", "fetchrc")
        os.makedirs(os.path.dirname(fetchrc))
        os.umask(0o022)
        with open(fetchrc, "w") as out:
            done = subprocess.run([*program(), "import", "--yes", path], stdout=out, stderr=subprocess.PIPE, timeout=20,
                                  env=self.popferry.environment({"XDG_STATE_HOME": self.popferry.state}))
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        run = self.popferry.run("run", "nobody", plain=True)
        self.expect_status(run, USAGE)      # it loads
        self.assertEqual(os.stat(fetchrc).st_mode & 0o777, 0o600)

    def test_a_password_of_the_smtp_server_is_hidden_as_well(self):
        path = self.write("rc", "poll pop.example proto pop3 user u is tom here esmtpname me esmtppassword secret1\n")
        fetchrc = os.path.join(self.directory, "made")
        os.umask(0o022)
        with open(fetchrc, "w") as out:
            subprocess.run([*program(), "import", "--yes", path], stdout=out, stderr=subprocess.PIPE, timeout=20,
                           env=self.popferry.environment({"XDG_STATE_HOME": self.popferry.state}))
        with open(fetchrc) as file:
            self.assertIn('password = "secret1"', file.read())
        self.assertEqual(os.stat(fetchrc).st_mode & 0o777, 0o600)

    @cases({"octets": ("1000", 1000), "kibioctets": ("500k", 512000), "mebioctets": ("10m", 10485760), "off": ("off", None)})
    def test_a_skipsize_of_mpop_keeps_its_unit(self, size, octets):
        out = self.imported(RC["mpop"] + f"skipsize {size}\n", "--dry-run").stdout
        self.assertEqual(re.findall("(?m)^    max_size = (.*)$", out), [] if octets is None else [str(octets)])
        self.assertNotIn("skipsize", out)

    @cases({size: size for size in ("0", "10g", "10mb", "-1", "99999999999999999999m", "99999999999999999m")})
    def test_a_skipsize_without_a_counterpart_becomes_a_comment(self, size):
        out = self.imported(RC["mpop"] + f"skipsize {size}\n", "--dry-run").stdout
        self.assertNotIn("max_size", out)
        self.assertIn(f"skipsize {size}", out)

    def test_twice_is_as_good_as_once(self):
        for _ in range(2):
            self.imported(RC["fetchmail"], "--yes", ids="u@pop.example one\n")

    @cases({"imap": RC["fetchmail"].replace("pop3", "imap"),
            "getmail's imap": RC["getmail"].replace("SimplePOP3SSL", "SimpleIMAPSSL")})
    def test_other_protocols_become_comments(self, text):
        run = self.imported(text, "--dry-run", status=CONFIG)
        self.assert_names(run, "no account can be taken over")
        self.assertIn("POP3 only", run.stdout)
        self.assertEqual([line for line in run.stdout.splitlines() if line and not line.startswith("#") and
                          not line.startswith(("destination", "    host = \"localhost\"", "}"))], [])

    @cases({"an account": 'account "gmx" {\n}\n', "braces below": "jobs = 4\naccount gmx\n{\n}\n",
            "a destination": "destination 'local' { }\n"})
    def test_a_fetchrc_of_popferry_is_not_taken_for_another_programs(self, text):
        run = self.imported(text, status=CONFIG)
        self.assert_names(run, "is a fetchrc of popferry already")
        self.assertEqual(run.stdout, "")

    @cases({"nothing": "", "a letter": "Dear Thomas,\nhow are you?\n", "binary": "\0\1\2\3"})
    def test_a_file_of_nobody(self, text):
        self.assert_names(self.imported(text, status=CONFIG), "fetchmail, mpop or getmail")

    def test_no_file_and_a_missing_one(self):
        self.expect_status(self.popferry.run("import", plain=True), USAGE)
        self.assert_names(self.popferry.run("import", "/nonexistent", plain=True), "cannot read /nonexistent")

    def test_unknown_words_become_comments(self):
        run = self.imported("poll h proto pop3 frobnicate user u pass p is u bogus keep\n", "--dry-run")
        self.assertIn("frobnicate", run.stdout)
        self.assertIn("bogus", run.stdout)
        self.assertIn("keep = true", run.stdout)

    def test_a_question_is_asked_on_a_terminal(self):
        path = self.write("rc", RC["fetchmail"])
        self.write(".fetchids", "u@pop.example one\n")
        for answer, there in ((b"n\n", False), (b"y\n", True)):
            master, slave = os.openpty()
            process = subprocess.Popen([*program(), "--state-dir", self.popferry.state, "import", path], stdin=slave, stderr=slave,
                                       stdout=subprocess.PIPE, env=self.popferry.environment(), preexec_fn=die_with_parent)
            os.close(slave)
            os.write(master, answer)
            self.assertIn(b"account", process.communicate(timeout=20)[0])
            os.close(master)
            self.assertEqual(process.returncode, 0)
            self.assertEqual(os.path.exists(self.popferry.state), there)
