"""What a person, cron and a timer see: the command line, where things are looked for, the output, secrets."""
import base64
import json
import os
import subprocess

from kit.case import PASSWORD, Case, cases
from kit.messages import letters
from kit.pop3 import At
from kit.popferry import CONFIG, LOGIN, OK, STATE, USAGE


class Usage(Case):
    def test_help_goes_to_standard_output(self):
        for option in ("-h", "--help"):
            run = self.popferry.run(option, plain=True)
            self.assertEqual((run.status, run.stderr), (OK, ""))
            for word in ("run", "check", "status", "history", "import", "talk", "authorize", "--config", "--dry-run"):
                self.assertIn(word, run.stdout)

    def test_version_goes_to_standard_output(self):
        for option in ("-V", "--version"):
            run = self.popferry.run(option, plain=True)
            self.assertEqual((run.status, run.stderr), (OK, ""))
            self.assertRegex(run.stdout, r"^popferry \d+\.\d+")

    def test_the_words_help_and_version_are_taken_for_the_options(self):
        for word in "help", "version":
            shown = self.popferry.run(word, plain=True)
            self.assertEqual((shown.status, shown.stdout), (OK, self.popferry.run("--" + word, plain=True).stdout))

    def test_help_fits_a_terminal(self):
        self.assertLessEqual(max(map(len, self.popferry.run("--help", plain=True).stdout.splitlines())), 80)

    @cases({"without a fetchrc": False, "with one": True})
    def test_a_mistyped_command_is_told_with_the_nearest(self, configured):
        if configured:
            self.fetchrc(self.pop3(letters(1)), self.smtp())
        for word, wanted in (("chek", "'popferry check'"), ("histroy", "'popferry history'"), ("nobody", None)):
            run = self.popferry.run(word, plain=not configured)
            self.assertEqual(run.status, USAGE)
            self.assert_names(run, f'no command or account "{word}"')
            self.assertEqual("did you mean" in run.stderr, wanted is not None)
            self.assertIn(wanted or "", run.stderr)

    @cases({"-z": (["-z"], "unknown option -z"), "in the middle": (["--quiet", "-vzn"], "unknown option -z"),
            "long": (["--nonsense"], "--nonsense"), "ambiguous": (["history", "--s"], "ambiguous option --s"),
            "a value too many": (["--json=yes"], "--json does not take a value"), "no value": (["-c"], "--config needs a value")})
    def test_a_wrong_option_is_told_in_one_line(self, args, words):
        run = self.popferry.run(*args, plain=True)
        self.assertEqual((run.status, run.stderr.startswith("popferry: ")), (USAGE, True))
        self.assertIn(words, run.stderr)
        self.assertEqual(len(run.stderr.splitlines()), 1)

    @cases({"an unknown option": ["--nonsense"], "a missing argument": ["--config"], "an unknown log format": ["--log-format=xml"],
            "talk to nobody": ["talk"]})
    def test_wrong_use(self, args):
        run = self.popferry.run(*args, plain=True)
        self.assertEqual(run.status, USAGE)
        self.assertNotEqual(run.stderr, "")

    @cases({"seen": ["--seen", "thomas"], "forget": ["--forget", "1", "thomas"], "json": ["run", "--json"], "no login": ["--no-login", "thomas"]})
    def test_an_option_of_another_command_does_not_pass_for_a_poll(self, args):
        pop3 = self.pop3(letters(1))
        self.fetchrc(pop3, self.smtp())
        run = self.ferry(*args, status=USAGE)
        self.assert_names(run, args[0] if args[0] != "run" else args[1], "popferry run")
        self.assertEqual(pop3.sessions, [])

    @cases({"a change of the history": ["history", "--forget=1", "-n", "thomas"], "a shard": ["status", "--shard=1/2"],
            "a dry dialogue": ["talk", "-n", "thomas"]})
    def test_an_option_that_a_command_does_not_know_is_not_passed_over(self, args):
        pop3 = self.pop3(letters(1))
        self.fetchrc(pop3, self.smtp())
        self.assert_names(self.ferry(*args, status=USAGE), "no option of")
        self.assertEqual(pop3.sessions, [])

    def test_an_account_that_does_not_exist(self):
        self.fetchrc(self.pop3(letters(1)), self.smtp())
        run = self.ferry("run", "nobody", status=USAGE)
        self.assert_names(run, "nobody")

    def test_no_fetchrc(self):
        run = self.popferry.run(plain=True)
        self.assertEqual(run.status, CONFIG)
        self.assert_names(run, "fetchrc")

    def test_a_fetchrc_without_an_account(self):
        self.popferry.configure("timeout = 5\n")
        self.assert_names(self.ferry(status=CONFIG), "no account")


class Places(Case):
    """Where the fetchrc and the state are looked for."""

    def prepare(self, directory):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp)
        os.makedirs(directory, exist_ok=True)
        os.rename(self.popferry.fetchrc, os.path.join(directory, "fetchrc"))
        return smtp

    def test_xdg_config_home(self):
        smtp = self.prepare(os.path.join(self.popferry.home, "config", "popferry"))
        self.expect_status(self.popferry.run("--state-dir", self.popferry.state, plain=True), OK)
        self.assertEqual(len(smtp.accepted), 1)

    def test_the_home_directory(self):
        smtp = self.prepare(os.path.join(self.popferry.home, ".config", "popferry"))
        run = self.popferry.run("--state-dir", self.popferry.state, plain=True, env={"XDG_CONFIG_HOME": None})
        self.expect_status(run, OK)
        self.assertEqual(len(smtp.accepted), 1)

    def test_state_directory_of_systemd(self):
        smtp = self.prepare(os.path.join(self.popferry.home, "config", "popferry"))
        state = os.path.join(self.directory, "systemd")
        self.expect_status(self.popferry.run(plain=True, env={"STATE_DIRECTORY": state}), OK)
        self.assertTrue(os.listdir(state))
        self.assertEqual(len(smtp.accepted), 1)

    def test_state_dir_in_the_fetchrc_and_on_the_command_line(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp, top={"state_dir": os.path.join(self.directory, "one")})
        self.expect_status(self.popferry.run("-c", self.popferry.fetchrc, plain=True), OK)
        self.assertTrue(os.listdir(os.path.join(self.directory, "one")))
        two = os.path.join(self.directory, "two")
        self.expect_status(self.popferry.run("-c", self.popferry.fetchrc, "--state-dir=" + two, plain=True), OK)
        self.assertTrue(os.listdir(two))


class Output(Case):
    def test_a_good_run_is_silent(self):
        self.fetchrc(self.pop3(letters(3)), self.smtp())
        self.assert_silent(self.ferry())
        self.assert_silent(self.ferry())

    def test_verbose_tells_what_was_done(self):
        self.fetchrc(self.pop3(letters(3)), self.smtp())
        run = self.ferry("-v")
        self.assertEqual(run.stdout, "")
        self.assert_names(run, "3 messages")

    def test_very_verbose_shows_the_dialogue_without_secrets(self):
        pop3, smtp = self.pop3(letters(2)), self.smtp()
        self.fetchrc(pop3, smtp)
        run = self.ferry("-vv")
        self.assert_names(run, "RETR 1", "MAIL FROM:", "250 2.0.0 ok")
        self.assertNotIn(pop3.commands("AUTH")[0].split()[-1], run.stderr)

    def test_quiet_still_tells_faults(self):
        pop3 = self.pop3(letters(1))
        self.fetchrc(pop3, self.smtp(), password="wrong")
        run = self.ferry("-q", status=LOGIN)
        self.assert_names(run, "thomas")

    def test_a_dry_run_says_what_would_be_done_and_changes_nothing(self):
        pop3, smtp = self.pop3(letters(3)), self.smtp()
        self.fetchrc(pop3, smtp)
        for option in ("-n", "--dry-run"):
            run = self.ferry(option)
            self.assertEqual((run.stdout, run.stderr), (f"thomas: 3 messages: 3 to retrieve ({3 * len(letters(1)[0])} B)\n", ""))
        self.assertEqual(self.ferry("-n", "-v").stdout.count(": retrieve\n"), 3)
        self.assertEqual((smtp.accepted, len(pop3.left("thomas")), pop3.commands("DELE")), ([], 3, []))
        self.assertFalse(os.path.exists(self.popferry.state) and os.listdir(self.popferry.state))
        self.ferry()
        self.assert_arrived(smtp, letters(3))

    def test_output_that_cannot_be_written_is_a_failure(self):
        self.fetchrc(self.pop3(letters(1)), self.smtp())
        command = self.popferry.start("-n").command     # for its words
        self.popferry.end()
        run = subprocess.run(["sh", "-c", 'exec "$@" >/dev/full', "sh", *command], env=self.popferry.environment(),
                             capture_output=True, text=True)
        self.assertEqual(run.returncode, STATE)
        self.assertIn("standard output", run.stderr)

    def test_json_lines(self):
        self.fetchrc(self.pop3(letters(2)), self.smtp())
        run = self.ferry("-v", "--log-format=json")
        events = [json.loads(line) for line in run.stderr.splitlines()]
        self.assertEqual(sum(e.get("event") == "delivered" for e in events), 2)
        self.assertTrue(all({"time", "level"} <= set(e) for e in events))


class Secrets(Case):
    """Where a password comes from."""

    def arrives(self, **secret):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp, password=None, **secret)
        return smtp

    def file(self, text, mode=0o600, name="secret"):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    @cases({"no newline": PASSWORD, "a newline": PASSWORD + "\n", "CRLF": PASSWORD + "\r\n"})
    def test_password_file(self, text):
        smtp = self.arrives(password_file=self.file(text))
        self.ferry()
        self.assertEqual(len(smtp.accepted), 1)

    def test_password_command(self):
        smtp = self.arrives(password_command=f"echo '{PASSWORD}'")
        self.ferry()
        self.assertEqual(len(smtp.accepted), 1)

    def test_a_failing_password_command_is_told_with_its_words(self):
        self.arrives(password_command=f"echo '{PASSWORD}'; echo 'the safe is locked' >&2; exit 3")
        run = self.ferry(status=LOGIN)
        self.assert_names(run, "thomas", "the safe is locked")

    def test_a_hanging_password_command_is_ended(self):
        self.arrives(password_command="sleep 55")
        options = os.path.join(self.directory, "fetchrc")
        with open(options) as file:
            text = file.read().replace("timeout = 5\n", "timeout = 1\n")
        self.popferry.configure(text)
        run = self.ferry(status=LOGIN, timeout=20)
        self.assert_names(run, "thomas")

    def test_a_credential_of_systemd(self):
        self.file(PASSWORD + "\n", name="pop3-thomas")
        smtp = self.arrives(credential="pop3-thomas")
        self.ferry(env={"CREDENTIALS_DIRECTORY": self.directory})
        self.assertEqual(len(smtp.accepted), 1)

    @cases({"of the password file": 0o644})
    def test_a_secret_that_others_can_read_is_refused(self, mode):
        self.arrives(password_file=self.file(PASSWORD, mode))
        run = self.ferry(status={LOGIN, CONFIG})
        self.assert_names(run, "secret")

    def test_a_missing_password_file(self):
        self.arrives(password_file=os.path.join(self.directory, "gone"))
        run = self.ferry(status={LOGIN, CONFIG})
        self.assert_names(run, "gone")

    def test_a_fetchrc_with_a_password_that_others_can_read_is_refused(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp)
        os.chmod(self.popferry.fetchrc, 0o644)
        self.ferry(status=CONFIG)
        self.assertEqual(pop3.sessions, [])

    def test_a_dollar_and_a_backslash_in_single_quotes_are_kept(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        pop3.mailboxes["thomas"].password = r"a$b\c ${HOME}"
        self.fetchrc(pop3, smtp, password="PLACE")
        with open(self.popferry.fetchrc) as file:
            text = file.read().replace('"PLACE"', r"'a$b\\c ${HOME}'")
        self.popferry.configure(text)
        self.ferry()
        self.assertEqual(len(smtp.accepted), 1)

    @cases({f"{auth} {verbose}": (auth, verbose) for auth in ("plain", "user", "apop", "cram-md5", "login") for verbose in ("-vv",)})
    def test_no_secret_is_shown_or_kept_anywhere(self, auth, verbose):
        caps = ("UIDL", "TOP", "USER", "SASL PLAIN LOGIN CRAM-MD5")
        pop3, smtp = self.pop3(letters(1), apop=True, caps=caps), self.smtp(users={"ferry": PASSWORD})
        self.fetchrc(pop3, smtp, to={"username": "ferry", "password": PASSWORD}, auth=auth)
        pop3.rules = [At("LIST").delay(0.3).normal()]
        process = self.popferry.start(verbose)
        self.wait_for(lambda: pop3.commands("STAT"))
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            shown = file.read()
        run = self.popferry.finish(process)
        self.expect_status(run, OK)
        shown += run.stderr.encode() + run.stdout.encode()
        for root, _, files in os.walk(self.popferry.state):
            for name in files:
                with open(os.path.join(root, name), "rb") as file:
                    shown += file.read()
        for secret in (PASSWORD.encode(), base64.b64encode(PASSWORD.encode()), base64.b64encode(b"\0thomas\0" + PASSWORD.encode()),
                       base64.b64encode(b"\0ferry\0" + PASSWORD.encode())):
            self.assertNotIn(secret, shown)

    def test_the_core_dump_is_switched_off(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp)
        pop3.rules = [At("LIST").delay(0.5).normal()]
        process = self.popferry.start()
        self.wait_for(lambda: pop3.commands("STAT"))
        with open(f"/proc/{process.pid}/limits") as file:
            core = next(line for line in file if line.startswith("Max core file size")).split()[4]
        self.popferry.finish(process)
        self.assertEqual(core, "0")
