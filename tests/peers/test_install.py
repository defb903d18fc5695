"""What comes with the program: make install and uninstall, the Debian package, the systemd units, the completions."""
import os
import re
import shutil
import subprocess
import unittest

from kit.case import Case
from kit.popferry import ROOT, program

COMPLETE_BASH = """
source contrib/completions/popferry.bash
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_popferry
printf '%s\\n' "${COMPREPLY[@]}"
"""


# Types the line, and TAB, into an interactive zsh.
COMPLETE_ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "LISTMAX=1000; fpath=($PWD/contrib/completions \$fpath); autoload -Uz compinit; compinit -D -u; setopt noautomenu; stty cols 200"
zpty -w z 'PS1=; print REA''DY'
zpty -r -m z seen '*READY*'
zpty -w -n z "$1"$'\t'
for i in {1..30}; do
    sleep 0.1
    while zpty -r -t z line; do print -rn -- "$line"; i=0; done
done
zpty -d z
"""


def need(*programs):
    for name in programs:
        if shutil.which(name) is None:
            raise unittest.SkipTest(f"needs {name}")


class Shell(Case):
    limit = 300

    def shell(self, *command, status=0, **how):
        done = subprocess.run([str(word) for word in command], cwd=how.pop("cwd", ROOT), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, **how)
        if status is not None:
            self.assertEqual(status, done.returncode, f"{command}\n{done.stdout}{done.stderr}")
        return done


class Installation(Shell):
    def make(self, *words):
        """make with the program that is there, without building it."""
        return self.shell("make", "-s", "-o", "all", f"PROGRAM={program()[-1]}", *words)

    def files(self, top):
        return sorted(os.path.relpath(os.path.join(at, name), top) for at, _, names in os.walk(top) for name in names)

    def test_uninstall_takes_away_what_install_has_put_there(self):
        for prefix in "/usr/local", "/opt/popferry":
            self.make("install", f"DESTDIR={self.directory}/root", f"PREFIX={prefix}")
            there = self.files(f"{self.directory}/root{prefix}")
            for path in ("bin/popferry", "share/man/man1/popferry.1", "share/man/man5/fetchrc.5",
                         "share/bash-completion/completions/popferry", "share/zsh/site-functions/_popferry",
                         "share/fish/vendor_completions.d/popferry.fish", "share/doc/popferry/fetchrc.example",
                         "lib/systemd/system/popferry.service", "lib/systemd/system/popferry.timer",
                         "lib/systemd/user/popferry.service", "lib/systemd/user/popferry.timer"):
                self.assertIn(path, there)
            service = open(f"{self.directory}/root{prefix}/lib/systemd/system/popferry.service").read()
            self.assertIn(f"ExecStart={prefix}/bin/popferry ", service)
            self.make("uninstall", f"DESTDIR={self.directory}/root", f"PREFIX={prefix}")
            self.assertEqual([], self.files(f"{self.directory}/root"))

    def test_the_version_stands_in_one_place(self):
        version = self.make("version").stdout.strip()
        self.assertEqual(f"popferry {version}", self.popferry.run("--version", plain=True).stdout.strip())

    def test_systemd_takes_the_units_and_finds_the_service_hardened(self):
        need("systemd-analyze")
        prefix = f"{self.directory}/usr"
        self.make("install", f"PREFIX={prefix}")
        system = f"{prefix}/lib/systemd/system"
        done = self.shell("systemd-analyze", "--man=no", "verify", f"{system}/popferry.service", f"{system}/popferry.timer")
        self.assertNotIn("popferry", done.stdout + done.stderr)
        rated = self.shell("systemd-analyze", "security", "--offline=true", f"{system}/popferry.service")
        level = float(re.search(r"exposure level for popferry.service: ([0-9.]+)", rated.stdout)[1])
        self.assertLessEqual(level, 2.0)
        user = f"{prefix}/lib/systemd/user"
        done = self.shell("systemd-analyze", "--man=no", "--user", "verify", f"{user}/popferry.service", f"{user}/popferry.timer",
                          status=None, env={**os.environ, "XDG_RUNTIME_DIR": self.directory})
        self.assertNotIn("popferry", done.stdout + done.stderr)

    def test_the_volumes_of_the_kubernetes_job_are_claimed_in_its_file(self):
        with open(os.path.join(ROOT, "contrib/kubernetes/popferry-job.yaml")) as file:
            parts = file.read().split("---\n")
        claimed = [re.search(r"(?m)^  name: (\S+)", part)[1] for part in parts if "kind: PersistentVolumeClaim" in part]
        self.assertEqual(re.findall(r"claimName: (\S+)", parts[-1]), claimed)
        shards = re.findall(r"(?m)(?:completions|parallelism|value): \"?(\d+)\"?$", parts[-1])
        self.assertEqual(len(set(shards)), 1, shards)

    def completed(self, shell, *words):
        """What the shell offers behind the words."""
        home = f"{self.directory}/home"
        os.makedirs(f"{home}/.config/popferry", exist_ok=True)
        with open(f"{home}/.config/popferry/fetchrc", "w") as file:
            file.write('account "gmx" {\n}\n  account \'web.de\' {\n}\n# account "no"\ndestination "lan" {\n}\n')
        env = {"HOME": home, "PATH": os.environ["PATH"], "LC_ALL": "C"}
        if shell == "bash":
            done = self.shell("bash", "-c", COMPLETE_BASH, "bash", *words, env=env)
        else:
            line = " ".join(words)
            done = self.shell("fish", "-c", f"source contrib/completions/popferry.fish; complete -C '{line}'", env=env)
        return [line.split("\t")[0] for line in done.stdout.split("\n") if line]

    def test_a_title_is_offered_as_it_stands_and_quoted(self):
        need("bash")
        title = "my$(touch ran) box"
        self.completed("bash", "popferry", "")
        with open(f"{self.directory}/home/.config/popferry/fetchrc", "w") as file:
            file.write(f'account "{title}" {{\n}}\n')
        env = {"HOME": f"{self.directory}/home", "PATH": os.environ["PATH"], "LC_ALL": "C"}
        script = COMPLETE_BASH.replace("contrib/", f"{ROOT}/contrib/")
        for words, offered in ((("",), r"my\$\(touch\ ran\)\ box"), (("check", r"my\$"), r"my\$\(touch\ ran\)\ box"),
                               (("check", '"my'), r"my\$(touch ran) box"), (("talk", "'my"), title)):
            done = self.shell("bash", "-c", script, "bash", "popferry", *words, env=env, cwd=self.directory)
            self.assertIn(offered, done.stdout.splitlines())
        self.assertFalse(os.path.exists(f"{self.directory}/ran"))

    def test_bash_and_fish_complete_commands_options_and_accounts(self):
        need("bash", "fish")
        for shell in "bash", "fish":
            with self.subTest(shell=shell):
                first = self.completed(shell, "popferry", "")
                for word in "run", "check", "status", "history", "import", "talk", "authorize", "gmx", "web.de":
                    self.assertIn(word, first)
                self.assertEqual(["gmx", "web.de"], self.completed(shell, "popferry", "check", ""))
                self.assertEqual(["lan"], self.completed(shell, "popferry", "talk", "l"))
                self.assertIn("--dry-run", self.completed(shell, "popferry", "--d"))
                self.assertIn("--seen", self.completed(shell, "popferry", "history", "--s"))
                self.assertNotIn("--dry-run", self.completed(shell, "popferry", "talk", "--d"))
        self.assertIn("refused", self.completed("bash", "popferry", "history", "--state", "=", "r"))
        self.assertIn("--state=refused", self.completed("fish", "popferry", "history", "--state="))

    def test_zsh_completes_them_too(self):
        need("zsh")
        self.completed("bash", "popferry", "")      # for the fetchrc
        for line, words in (("popferry ", ("run", "history", "authorize", "gmx", "web.de")),
                            ("popferry history --se", ("--seen", "--search")), ("popferry history --state=", ("recorded", "quarantined")), ("popferry check ", ("gmx", "web.de")),
                            ("popferry talk l", ("lan",)), ("popferry talk --", ("--no-login",)),
                            ("popferry --d", ("--dry-run",)), ("popferry history --s", ("--seen", "--since"))):
            done = self.shell("zsh", "-f", "-c", COMPLETE_ZSH, "zsh", line, timeout=60,
                              env={"HOME": f"{self.directory}/home", "PATH": os.environ["PATH"], "TERM": "dumb"})
            for word in words:
                self.assertIn(word, done.stdout)
            if "talk" in line:
                self.assertNotIn("--json", done.stdout)

    def test_every_option_of_the_help_stands_in_the_manual_and_the_completions(self):
        text = self.popferry.run("--help", plain=True).stdout
        options = sorted(set(re.findall(r"--([a-z-]+)", text)))
        self.assertIn("config", options)
        texts = {name: open(os.path.join(ROOT, "contrib", name)).read().replace("\\-", "-")
                 for name in ("man/popferry.1", "completions/popferry.bash", "completions/_popferry", "completions/popferry.fish")}
        for option in options:
            for name, text in texts.items():
                self.assertTrue(re.search(rf"(--|Fl -|-l ){option}\b", text), f"--{option} is missing in {name}")

    def test_the_manual_pages_are_clean(self):
        need("mandoc")
        for page in "popferry.1", "fetchrc.5":
            said = self.shell("mandoc", "-Tlint", f"contrib/man/{page}", status=None).stdout
            faults = [line for line in said.splitlines() if "referenced manual not found" not in line and "outdated" not in line]
            self.assertEqual([], faults)


class DebianPackage(Shell):
    @classmethod
    def setUpClass(cls):
        need("dpkg-buildpackage", "dh", "lintian")
        done = subprocess.run(["make", "-s", "deb"], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        cls.package = next(os.path.join(ROOT, line) for line in done.stdout.splitlines() if "/popferry_" in line)

    def test_lintian_finds_no_error(self):
        said = self.shell("lintian", "--fail-on", "none", self.package, status=None).stdout
        self.assertEqual([], [line for line in said.splitlines() if line.startswith("E:")])

    def test_it_installs_runs_and_purges_cleanly(self):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root")
        if self.shell("dpkg-query", "-W", "popferry", status=None).returncode == 0:
            raise unittest.SkipTest("popferry is installed here already")
        self.shell("dpkg", "--install", self.package)
        try:
            self.assertIn("popferry ", self.shell("/usr/bin/popferry", "--version").stdout)
            self.assertTrue(os.path.exists("/lib/systemd/system/popferry.timer"))
        finally:
            self.shell("dpkg", "--purge", "popferry")
        self.assertFalse(os.path.exists("/usr/bin/popferry"))
        self.assertFalse(os.path.exists("/var/lib/popferry"))
        self.assertNotEqual(0, self.shell("dpkg-query", "-W", "popferry", status=None).returncode)

