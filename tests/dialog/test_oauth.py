"""OAuth2 against a scripted authorization server: refresh, rotation, faults, and the two logins by hand."""
import base64
import glob
import http.client
import json
import os
import signal
import stat
import subprocess
import time
import urllib.parse

from kit.case import Case, cases
from kit.certs import Certs
from kit.clock import shifted
from kit.messages import letters
from kit.oauth import OAuthServer, TokenPop3Server, http as answer, refusal
from kit.pop3 import At
from kit.popferry import CONFIG, LOGIN, OK, PROTOCOL, RETRY, STATE, USAGE, die_with_parent, program


class OAuthCase(Case):
    def setUp(self):
        super().setUp()
        self.oauths = []

    def oauth_server(self, **how):
        if how.setdefault("tls", "implicit") != "none":
            how.setdefault("cert", Certs.shared().good)
        server = self.serve(OAuthServer(**how))
        self.oauths.append(server)
        return server

    def shores(self, messages=3, mechanisms="XOAUTH2 OAUTHBEARER", **how):
        oauth = self.oauth_server(**how)
        self.sent = letters(messages)
        pop3 = self.serve(TokenPop3Server(oauth, {"thomas": self.sent}, mechanisms))
        return oauth, pop3, self.smtp()

    def section(self, oauth, **more):
        section = {"token_endpoint": oauth.url("token"), "client_id": oauth.client_id, "client_secret": oauth.client_secret,
                   "scope": "pop3 offline_access", "tls_ca_file": Certs.shared().ca if oauth.tls != "none" else None}
        section.update(more)
        return section

    def configure(self, server, pop3, smtp, section=None, top=None, **account):
        """The account has a refresh token of its own unless it is told otherwise."""
        account = {"oauth": "example", "password": server.new_refresh(), **account}
        self.popferry.configure({"timeout": 3, **(top or {}), "destination": {"local": self.destination(smtp)},
                                 "oauth": {"example": self.section(server, **(section or {}))},
                                 "account": {"thomas": self.account(pop3, **account)}})

    def token_file(self):
        paths = glob.glob(os.path.join(self.popferry.state, "oauth", "*"))
        self.assertEqual(len(paths), 1, paths)
        self.assertTrue(paths[0].endswith(".json"), paths)
        with open(paths[0]) as file:
            return json.load(file)

    def tearDown(self):
        super().tearDown()
        for run in self.popferry.runs:
            for server in self.oauths:
                for secret in [*server.issued, *server.refresh, *filter(None, [server.client_secret])]:
                    self.assertNotIn(secret, run.stdout + run.stderr, "a token is shown")
                for user in ("thomas",):    # as the mechanisms send it
                    for token in server.access:
                        message = base64.b64encode(f"user={user}\1auth=Bearer {token}\1\1".encode()).decode()
                        self.assertNotIn(message[:60], run.stdout + run.stderr, "an encoded token is shown")
            self.assertNotRegex(run.stderr, r"AUTH (XOAUTH2|OAUTHBEARER) [A-Za-z0-9+/=]")


class Tokens(OAuthCase):
    def test_a_token_file_of_roots_belongs_to_the_owner_of_the_state_directory(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        os.mkdir(self.popferry.state)
        os.chown(self.popferry.state, 54321, 54321)
        self.configure(*self.shores())
        self.ferry()
        paths = glob.glob(os.path.join(self.popferry.state, "oauth*")) + glob.glob(os.path.join(self.popferry.state, "oauth", "*"))
        self.assertEqual([(os.stat(path).st_uid, os.stat(path).st_gid) for path in paths], 2 * [(54321, 54321)])

    @cases({name: name for name in ("XOAUTH2", "OAUTHBEARER", "XOAUTH2 OAUTHBEARER", "PLAIN XOAUTH2")})
    def test_mail_crosses_with_a_token(self, mechanisms):
        oauth, pop3, smtp = self.shores(mechanisms=mechanisms)
        self.configure(oauth, pop3, smtp)
        run = self.ferry("-vv")
        self.assert_arrived(smtp, self.sent)
        self.assertIn("HTTP status 200", run.stderr)
        self.assertIn(oauth.url("token"), run.stderr)
        self.assertEqual(oauth.requests[0][1]["grant_type"], "refresh_token")
        self.assertNotIn("scope", oauth.requests[0][1])

    def test_a_client_secret_is_sent_and_never_shown(self):
        oauth, pop3, smtp = self.shores(client_secret="sesame-open")
        self.configure(oauth, pop3, smtp)
        self.ferry("-vv")
        self.assert_arrived(smtp, self.sent)

    def test_a_token_is_kept_for_the_next_run_until_a_minute_before_its_end(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp)
        self.ferry()
        self.ferry(env=shifted(3500))
        self.assertEqual(oauth.count("token"), 1)
        self.ferry(env=shifted(3545))
        self.assertEqual(oauth.count("token"), 2)

    def test_the_token_goes_with_a_mailbox_that_is_moved(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp, keep=True)
        self.ferry()
        before = self.token_file()
        self.popferry.run("history", "--yes", "--move", f"thomas@127.0.0.1:{pop3.port}", f"thomas@localhost:{pop3.port}")
        self.assertEqual(self.token_file(), before)
        self.configure(oauth, pop3, smtp, keep=True, host="localhost", password=None)
        self.ferry()
        self.assert_arrived(smtp, self.sent)

    def test_the_token_file_is_nobody_elses_business(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp)
        os.umask(0)
        self.ferry()
        directory = os.path.join(self.popferry.state, "oauth")
        self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700)
        for name in os.listdir(directory):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode), 0o600)

    @cases({f"{mechanism} {'with' if challenge else 'without'} a challenge": (mechanism, challenge)
            for mechanism in ("XOAUTH2", "OAUTHBEARER") for challenge in ('{"status":"401"}', None)})
    def test_a_token_that_ends_unnoticed_is_renewed_after_one_refusal(self, mechanism, challenge):
        oauth, pop3, smtp = self.shores(mechanisms=mechanism)
        pop3.challenge = challenge
        self.configure(oauth, pop3, smtp)
        self.ferry()
        oauth.access.clear()
        pop3.mailboxes["thomas"].add(self.sent[0])
        self.ferry()
        self.assertEqual(oauth.count("token"), 2)
        self.assertEqual(len(smtp.accepted), 4)

    def test_tokens_that_are_all_refused_end_after_the_second(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp)
        oauth.extra = {"access_token": "at-worthless"}
        run = self.ferry(status=LOGIN)
        self.assert_names(run, "thomas", "refused")
        self.assertLessEqual(len(pop3.offered), 2)
        self.assertEqual(oauth.count("token"), 2)

    def test_a_server_without_refresh_tokens_left_says_what_to_run(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp)
        oauth.refresh.clear()
        run = self.ferry(status=LOGIN)
        self.assert_names(run, "thomas", "invalid_grant", "expired or revoked", "run popferry authorize thomas again")
        self.assertEqual(pop3.offered, [])

    def test_an_account_that_was_never_authorized_says_what_to_run(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp, password=None)
        self.assert_names(self.ferry(status=LOGIN), "run popferry authorize thomas")
        self.assertEqual(oauth.requests, [])

    def test_a_helper_prints_the_token(self):
        oauth, pop3, smtp = self.shores()
        oauth.grant("thomas")
        token = oauth.issued[-1]
        self.configure(oauth, pop3, smtp, oauth=None, password=None, auth="xoauth2", token_command=f"echo {token}")
        self.ferry()
        self.assert_arrived(smtp, self.sent)
        self.assertEqual(oauth.requests, [])

    def test_a_systemd_credential_holds_the_first_refresh_token(self):
        oauth, pop3, smtp = self.shores()
        oauth.rotation = "strict"
        credentials = os.path.join(self.directory, "credentials")
        os.mkdir(credentials, 0o700)

        def store(token):
            with open(os.path.join(credentials, "gmail"), "w") as file:
                file.write(token + "\n")
            os.chmod(os.path.join(credentials, "gmail"), 0o600)
        env = {"CREDENTIALS_DIRECTORY": credentials}
        store(oauth.new_refresh())
        self.configure(oauth, pop3, smtp, password=None, credential="gmail")
        self.ferry(env=env)
        oauth.access.clear()
        self.ferry(env=env)         # with the rotated one, not with the original, which is worthless by now
        self.assertEqual(oauth.count("token"), 2)
        fresh = oauth.new_refresh()
        store(fresh)                # a changed original wins
        self.ferry(env=env)
        self.assertEqual(oauth.requests[-1][1]["refresh_token"], fresh)


class Rotation(OAuthCase):
    def test_the_new_refresh_token_is_stored_before_the_access_token_is_used(self):
        oauth, pop3, smtp = self.shores()
        oauth.rotation = "strict"
        self.configure(oauth, pop3, smtp)
        stored = []
        pop3.rules = [At("login").call(lambda session: stored.append(self.token_file())).normal()]
        self.ferry()
        self.assertIn(stored[0]["refresh_token"], oauth.refresh)
        self.assertEqual(stored[0]["access_token"], pop3.offered[0])

    def test_kill_9_between_answer_and_use_locks_nobody_out(self):
        oauth, pop3, smtp = self.shores()
        oauth.rotation, oauth.lifetime = "strict", 30      # each run must refresh
        self.configure(oauth, pop3, smtp)
        for kill in range(3):
            pop3.rules = [At("greeting").stall(5)]
            process = self.popferry.start()
            self.assertTrue(self.wait_for(lambda k=kill: len(pop3.sessions) > k))
            process.kill()
            self.popferry.finish(process)
        pop3.rules = []
        self.ferry()
        self.assert_arrived(smtp, self.sent)
        self.assertEqual(oauth.count("token"), 4)

    def test_kill_9_at_every_moment_around_the_answer_locks_nobody_out(self):
        """The server lets the old refresh token live until the new one was used, as RFC 9700 section 4.14 has it."""
        oauth, pop3, smtp = self.shores()
        oauth.rotation, oauth.lifetime = "grace", 30
        self.configure(oauth, pop3, smtp)
        for delay in (None, 0, 0.001, 0.003, 0.01, 0.03):
            processes = []

            def kill(_, after=delay, victims=processes):
                time.sleep(after or 0)
                victims[0].kill()
            oauth.rules = [At("token").lose().call(kill).close() if delay is None else At("token").normal().call(kill)]
            seen = oauth.count("token")
            processes.append(self.popferry.start())
            self.popferry.finish(processes[0])
            self.assertEqual(oauth.count("token"), seen + 1)
        oauth.rules = []
        self.ferry()
        self.assert_arrived(smtp, self.sent, duplicates=6)

    def test_an_answer_that_the_server_forgot_falls_back_to_the_token_before_it(self):
        oauth, pop3, smtp = self.shores()
        oauth.rotation = "grace"
        self.configure(oauth, pop3, smtp)
        self.ferry()
        new = self.token_file()["refresh_token"]
        del oauth.refresh[new]          # the server was set back
        oauth.access.clear()
        self.ferry()
        self.assertNotEqual(self.token_file()["refresh_token"], new)
        self.assertIn(self.token_file()["refresh_token"], oauth.refresh)

    def test_two_runs_at_once_refresh_once(self):
        oauth, pop3, smtp = self.shores()
        oauth.rotation = "strict"
        self.configure(oauth, pop3, smtp)
        oauth.rules = [At("token").delay(1).normal()]
        processes = [self.popferry.start(*args) for args in ((), ("--dry-run",), ("--dry-run",))]
        for process in processes:
            self.expect_status(self.popferry.finish(process), OK)
        self.assertEqual(oauth.count("token"), 1)
        self.assert_arrived(smtp, self.sent)

    def test_sigterm_during_a_refresh_waits_for_the_answer(self):
        oauth, pop3, smtp = self.shores()
        oauth.rotation = "strict"
        self.configure(oauth, pop3, smtp)
        oauth.rules = [At("token", times=1).delay(1).normal()]
        process = self.popferry.start()
        self.assertTrue(self.wait_for(lambda: oauth.count("token") == 1))
        process.send_signal(signal.SIGTERM)
        self.popferry.finish(process)
        self.assertIn(self.token_file()["refresh_token"], oauth.refresh)
        self.ferry()
        self.assert_arrived(smtp, self.sent)

    def test_a_state_directory_that_takes_no_token_shows_before_anything_is_asked(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp)
        os.makedirs(self.popferry.state)
        with open(os.path.join(self.popferry.state, "oauth"), "w"):
            pass        # a file where the directory should be
        self.ferry(status=STATE)
        self.assertEqual(oauth.requests, [])


BIG = b'{"access_token":"' + b"a" * 100_000 + b'"}'
GOOD = b'{"access_token":"at","expires_in":3600}'


class Faults(OAuthCase):
    @cases({
        "no JSON": (answer(200, b"<html>"), PROTOCOL, "JSON"), "an empty body": (answer(200, b""), PROTOCOL, "JSON"),
        "an array": (answer(200, []), PROTOCOL, "JSON"), "half of it": (answer(200, GOOD[:20]), PROTOCOL, "JSON"),
        "a member twice": (answer(200, b'{"access_token":"a","access_token":"b"}'), PROTOCOL, "JSON"),
        "no token": (answer(200, {"token_type": "Bearer"}), PROTOCOL, "access_token"),
        "a token with an octet 1": (answer(200, {"access_token": "a\1b"}), PROTOCOL, "access_token"),
        "another token type": (answer(200, {"access_token": "at", "token_type": "mac"}), PROTOCOL, "token_type"),
        "a huge token": (answer(200, BIG), PROTOCOL, "64 KiB"),
        "no HTTP": (b"+OK hello\r\n\r\n", PROTOCOL, "localhost"),
        "a made length": (answer(200, GOOD).replace(b"Length: 3", b"Length: 93"), RETRY, "localhost"),
        "status 204": (answer(204, b""), PROTOCOL, "204"), "status 404": (answer(404, b"no"), PROTOCOL, "404"),
        "status 500": (answer(500, b"oops"), RETRY, "500"), "status 503": (answer(503, {"error": "x"}), RETRY, "503"),
        "status 429": (answer(429, {"error": "rate"}), RETRY, "429"),
        "temporarily unavailable": (refusal("temporarily_unavailable"), RETRY, "temporarily_unavailable"),
        "invalid client": (refusal("invalid_client", 401, error_description="who?"), LOGIN, "invalid_client: who?"),
        "invalid scope": (refusal("invalid_scope"), LOGIN, "invalid_scope"),
        "unauthorized client": (refusal("unauthorized_client"), LOGIN, "unauthorized_client"),
        "a terminal's control sequences": (refusal("invalid_client", error_description="\x1b[2Jx"), LOGIN, "?[2Jx"),
        "an error that is no text": (refusal(5), PROTOCOL, "400"),
    })
    def test_an_answer_like_this(self, octets, status, words):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp)
        oauth.rules = [At("token").reply(octets)]
        run = self.ferry(status=status)
        self.assert_names(run, "thomas", words)
        self.assertEqual((pop3.offered, smtp.accepted), ([], []))
        oauth.rules = []
        self.ferry()
        self.assert_arrived(smtp, self.sent)

    def test_a_server_that_quotes_the_secrets_is_not_quoted(self):
        oauth, pop3, smtp = self.shores(client_secret="sesame-open")
        self.configure(oauth, pop3, smtp)
        oauth.rules = [At("token").edit(lambda _: refusal(
            "invalid_request", error_description=f"{oauth.requests[-1][1]['refresh_token']} sesame-open?"))]
        run = self.ferry(status=LOGIN)
        self.assert_names(run, "*** ***?")

    def test_a_server_that_quotes_the_secrets_percent_encoded_is_not_quoted(self):
        oauth, pop3, smtp = self.shores(client_secret="sesame/öpen")
        self.configure(oauth, pop3, smtp, password="1//0gAB")
        oauth.rules = [At("token").edit(lambda _: refusal(
            "invalid_request", error_description="refresh_token=1%2f%2F0gAB&client_secret=sesame%2F%C3%B6pen?"))]
        run = self.ferry(status=LOGIN)
        self.assert_names(run, "refresh_token=***&client_secret=***?")

    @cases({"XOAUTH2": "XOAUTH2", "OAUTHBEARER": "OAUTHBEARER"})
    def test_a_mail_server_that_repeats_the_token_is_not_quoted(self, mechanism):
        oauth, pop3, smtp = self.shores(mechanisms=mechanism)
        self.configure(oauth, pop3, smtp)
        said = []

        def repeat(session):
            sent = session.commands[-1].split()[-1] if len(session.commands[-1].split()) > 2 else None
            if sent is None:
                session.send(b"+ \r\n")
                sent = session.line().decode()
            token = base64.b64decode(sent).decode().split("Bearer ")[1].split("\1")[0]
            said.extend([sent, token])
            session.send(f"-ERR [AUTH] {token} in {sent} is unknown\r\n".encode())

        pop3.rules = [At("AUTH").call(repeat)]
        runs = [self.ferry("-vv", status=LOGIN), self.ferry("status", status=None), self.ferry("check", status=None)]
        self.assertTrue(said)
        self.assert_names(runs[0], "-ERR [AUTH] *** in *** is unknown")
        for shown in [run.stdout + run.stderr for run in runs]:
            for secret in said:
                self.assertNotIn(secret, shown)

    @cases({str(status): status for status in (301, 302, 303, 307, 308)})
    def test_a_redirect_to_another_host_is_refused(self, status):
        oauth, pop3, smtp = self.shores()
        other = self.oauth_server(tls="none")
        self.configure(oauth, pop3, smtp)
        oauth.rules = [At("token").reply(answer(status, b"", Location=other.url("token") + "?refresh=secret-thing"))]
        run = self.ferry(status=PROTOCOL)
        self.assert_names(run, "redirect", "127.0.0.1", str(status))
        self.assertNotIn("secret-thing", run.stderr)
        self.assertEqual((other.requests, other.sessions), ([], []))

    @cases({
        "silence": lambda: At("token").stall(), "a drip": lambda: At("token").drip(0.5),
        "an endless body": lambda: At("token").reply(b"HTTP/1.1 200 OK\r\n\r\n").endless(b"a" * 1000),
        "an endless header": lambda: At("token").reply(b"HTTP/1.1 200 OK\r\n").endless(b"A: " + b"a" * 1000 + b"\r\n"),
        "a hangup": lambda: At("token").close(), "a reset": lambda: At("token").reset(),
        "a cut": lambda: At("token").cut(40),
    })
    def test_a_server_that_does_not_come_to_an_end(self, rule):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp)
        oauth.rules = [rule()]
        run = self.ferry(status={RETRY, PROTOCOL})
        self.assert_names(run, "thomas", "localhost")

    def test_a_server_that_is_not_there(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp)
        oauth.stop()
        self.assert_names(self.ferry(status=RETRY), "thomas", "localhost")

    @cases({name: name for name in ("expired", "wrong_host", "self_signed")})
    def test_a_wrong_certificate_gets_no_token(self, name):
        oauth, pop3, smtp = self.shores(cert=getattr(Certs.shared(), name))
        self.configure(oauth, pop3, smtp)
        self.ferry(status=PROTOCOL)
        self.assertEqual(oauth.requests, [])

    def test_the_proxy_of_the_environment_is_not_asked(self):
        oauth, pop3, smtp = self.shores(tls="none")
        self.configure(oauth, pop3, smtp)
        self.ferry(env={"ALL_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"})
        self.assert_arrived(smtp, self.sent)

    def test_clear_text_to_another_host_is_a_mistake(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp, section={"token_endpoint": "http://auth.example.test/token"})
        self.assert_names(self.ferry(status=CONFIG), "https://")


class Authorize(OAuthCase):
    """popferry authorize."""

    def prepare(self, device=True, section=None, **how):
        oauth, pop3, smtp = self.shores(**how)
        endpoint = {"device_endpoint": oauth.url("device")} if device else {"authorization_endpoint": oauth.url("authorize")}
        self.configure(oauth, pop3, smtp, section={**endpoint, **(section or {})}, password=None)
        return oauth, pop3, smtp

    def begin(self):
        """Start it with a terminal's two ends in our hands."""
        command = [*program(), "-c", self.popferry.fetchrc, "--state-dir", self.popferry.state, "authorize", "thomas"]
        process = subprocess.Popen(command, cwd=self.directory, env=self.popferry.environment(), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        process.command, process.started = command, time.monotonic()
        self.popferry.children.append(process)
        return process

    def read_url(self, process):
        """The address that it shows."""
        while line := process.stdout.readline().decode():
            if line.startswith("http"):
                return line.strip()
        self.fail("no address was shown")

    def browse(self, url):
        """What a browser does up to the redirect. Returns where it leads."""
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        connection.request("GET", f"{parts.path}?{parts.query}")
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, response.headers.get("Location"), body

    def test_a_device_login_shows_the_code_and_stores_the_token(self):
        oauth, pop3, smtp = self.prepare()
        oauth.pending = ["authorization_pending"]
        run = self.ferry("authorize", "thomas")
        self.assertIn("WDJB-MJHT", run.stdout)
        self.assertIn(oauth.url("enter"), run.stdout)
        self.assertIn(oauth.url("enter?user_code=WDJB-MJHT"), run.stdout)
        self.assertIn("popferry check thomas", run.stdout)
        self.assertEqual(oauth.requests[0], ("/device", {"client_id": "popferry", "scope": "pop3 offline_access"}))
        self.assertIn(self.token_file()["refresh_token"], oauth.refresh)
        self.ferry()
        self.assert_arrived(smtp, self.sent)
        self.assertEqual(oauth.count("token"), 2)      # the access token of the login was still good

    def test_a_device_login_waits_longer_when_told_to_slow_down(self):
        oauth, _, _ = self.prepare()
        oauth.pending = ["authorization_pending", "slow_down"]
        self.ferry("authorize", "thomas")
        first, second, third = oauth.times("token")
        self.assertGreater(third - second, 2 * (second - first), "an interval of 1 s, then of 6 s")

    def test_a_device_login_outlives_a_passing_fault(self):
        oauth, _, _ = self.prepare()
        oauth.rules = [At("token", times=1).reply(answer(503, b""))]
        self.ferry("authorize", "thomas")
        self.assertEqual(oauth.count("token"), 2)

    @cases({"denied": ("access_denied", "refused"), "expired": ("expired_token", "expired"),
            "an unknown error": ("invalid_client", "invalid_client")})
    def test_a_device_login_that_ends_badly(self, error, words):
        oauth, _, _ = self.prepare()
        oauth.pending = [error]
        self.assert_names(self.ferry("authorize", "thomas", status=LOGIN), "thomas", words)

    def test_a_device_login_ends_when_the_code_has_expired(self):
        oauth, _, _ = self.prepare()
        oauth.device_life, oauth.pending = 2, ["authorization_pending"] * 20
        self.assert_names(self.ferry("authorize", "thomas", status=LOGIN), "expired")

    @cases({"refused": (refusal("invalid_scope", error_description="no mail"), LOGIN, "invalid_scope: no mail"),
            "malformed": (answer(200, {"user_code": "x"}), PROTOCOL, "device_code"),
            "gone": (answer(503, b""), RETRY, "503"), "missing": (answer(404, b""), PROTOCOL, "404")})
    def test_a_device_endpoint_that_fails(self, octets, status, words):
        oauth, _, _ = self.prepare()
        oauth.rules = [At("device").reply(octets)]
        self.assert_names(self.ferry("authorize", "thomas", status=status), words)

    def test_google_writes_verification_url(self):
        oauth, _, _ = self.prepare()
        oauth.rules = [At("device").edit(lambda octets: octets.replace(b'"verification_uri"', b'"verification_url"'))]
        self.assertIn(oauth.url("enter"), self.ferry("authorize", "thomas").stdout)

    def test_a_login_without_a_refresh_token_says_so(self):
        oauth, _, _ = self.prepare()
        oauth.rules = [At("token").reply(answer(200, {"access_token": "at", "expires_in": 3600}))]
        self.assert_names(self.ferry("authorize", "thomas", status=LOGIN), "refresh token", "offline_access")

    def test_a_signal_ends_the_wait(self):
        oauth, _, _ = self.prepare()
        oauth.pending = ["authorization_pending"] * 100
        process = self.popferry.start("authorize", "thomas")
        self.assertTrue(self.wait_for(lambda: oauth.count("token") > 0))
        asked = oauth.count("token")
        process.send_signal(signal.SIGINT)
        self.expect_status(self.popferry.finish(process), RETRY)
        self.assertLessEqual(oauth.count("token"), asked + 1)

    def test_a_browser_login_comes_back_through_the_loopback_address(self):
        oauth, _, smtp = self.prepare(device=False, tls="none")
        process = self.begin()
        url = self.read_url(process)
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        self.assertEqual(query["code_challenge_method"], "S256")
        self.assertEqual(query["login_hint"], "thomas")
        self.assertEqual(query["scope"], "pop3 offline_access")
        self.assertRegex(query["redirect_uri"], r"^http://127\.0\.0\.1:\d+/$")
        _, back, _ = self.browse(url)
        self.assertEqual(self.browse(query["redirect_uri"] + "favicon.ico")[0], 404)
        self.assertEqual(self.browse(query["redirect_uri"] + "?code=evil&state=guessed")[0], 404)
        status, _, body = self.browse(back)
        self.assertEqual(status, 200)
        self.assertIn("closed", body)
        self.expect_status(self.popferry.finish(process), OK)
        self.ferry()
        self.assert_arrived(smtp, self.sent)

    @cases({"the whole address": lambda back: back, "the code": lambda back: urllib.parse.parse_qs(
        urllib.parse.urlsplit(back).query)["code"][0], "the code as it stands in the address":
        lambda back: back.split("code=")[1].split("&")[0]})
    def test_a_browser_login_is_pasted_back(self, part):
        oauth, _, smtp = self.prepare(device=False, tls="none")
        process = self.begin()
        _, back, _ = self.browse(self.read_url(process))
        process.stdin.write(b"\nnonsense?x=y\n" + part(back).encode() + b"\n")
        process.stdin.flush()
        self.expect_status(self.popferry.finish(process), OK)
        self.ferry()
        self.assert_arrived(smtp, self.sent)

    def test_a_browser_login_that_is_refused(self):
        oauth, _, _ = self.prepare(device=False, tls="none")
        oauth.denied = True
        process = self.begin()
        _, back, _ = self.browse(self.read_url(process))
        self.assertEqual(self.browse(back)[0], 200)
        run = self.popferry.finish(process)
        self.expect_status(run, LOGIN)
        self.assert_names(run, "access_denied")

    def test_a_silent_connection_does_not_hold_the_browser_up(self):
        oauth, _, _ = self.prepare(device=False, tls="none")
        process = self.begin()
        url = self.read_url(process)
        port = int(urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["redirect_uri"][0].split(":")[2].strip("/"))
        idle = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(3)]
        for connection in idle:
            connection.connect()
        _, back, _ = self.browse(url)
        self.assertEqual(self.browse(back)[0], 200)
        self.expect_status(self.popferry.finish(process), OK)
        for connection in idle:
            connection.close()

    def test_after_a_new_login_a_configured_token_steps_back(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp, section={"device_endpoint": oauth.url("device")})
        oauth.refresh.clear()
        self.ferry(status=LOGIN)
        self.ferry("authorize", "thomas")
        self.ferry("run", "thomas")
        self.assert_arrived(smtp, self.sent)

    def test_a_token_is_not_sent_to_a_new_server(self):
        oauth, pop3, smtp = self.prepare()
        self.ferry("authorize", "thomas")
        other = self.oauth_server()
        self.configure(other, pop3, smtp, password=None)
        self.assert_names(self.ferry(status=LOGIN), "popferry authorize thomas")
        self.assertEqual(other.requests, [])

    @cases({"no account": ((), USAGE), "two accounts": (("thomas", "thomas"), USAGE), "an unknown one": (("nobody",), USAGE)})
    def test_which_account_must_be_said(self, arguments, status):
        self.prepare()
        self.ferry("authorize", *arguments, status=status)

    def test_an_account_without_oauth_has_nothing_to_authorize(self):
        oauth, pop3, smtp = self.shores()
        self.configure(oauth, pop3, smtp, oauth=None)
        self.assert_names(self.ferry("authorize", "thomas", status=CONFIG), "thomas", "oauth")
