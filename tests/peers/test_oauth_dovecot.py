"""OAuth2 logins at a real Dovecot, which asks the scripted authorization server about every token (RFC 7662)."""
import os
import unittest

from kit import dovecot as dovecots
from kit.case import Case, cases
from kit.certs import Certs
from kit.dovecot import Dovecot
from kit.messages import letters
from kit.oauth import OAuthServer
from kit.popferry import LOGIN


class Dovecots(Case):
    def setUp(self):
        super().setUp()
        if not dovecots.available():
            raise unittest.SkipTest("needs root and Dovecot")
        os.chmod(self.directory, 0o711)
        self.oauth = self.serve(OAuthServer())
        self.sent = letters(3)
        self.real = Dovecot(os.path.join(self.directory, "dovecot"), {"thomas": self.sent}, mechanisms="xoauth2 oauthbearer",
                            settings=self.passdb())
        self.real.start()
        self.addCleanup(self.real.stop)
        self.sink = self.smtp()

    def passdb(self):
        path = os.path.join(self.directory, "oauth2.conf")
        with open(path, "w") as file:
            file.write(f"introspection_mode = post\nintrospection_url = {self.oauth.url('introspect')}\n"
                       "username_attribute = username\nactive_attribute = active\nactive_value = true\n")
        return f"passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {path}\n}}\n"

    def context(self):
        return super().context() + "\n" + self.real.transcript()

    def configure(self, auth, tls="starttls"):
        self.popferry.configure({
            "timeout": 10, "destination": {"local": self.destination(self.sink)},
            "oauth": {"example": {"token_endpoint": self.oauth.url("token"), "client_id": "popferry",
                                  "device_endpoint": self.oauth.url("device")}},
            "account": {"thomas": {
                "host": "localhost", "port": self.real.tls_port if tls == "implicit" else self.real.port, "tls": tls,
                "tls_ca_file": Certs.shared().ca, "username": "thomas", "recipients": ["thomas"], "oauth": "example", "auth": auth}}})

    def again(self):
        self.real.add("thomas", self.sent[0])

    @cases({f"{auth} {tls}": (auth, tls) for auth in ("auto", "xoauth2", "oauthbearer") for tls in ("starttls", "implicit")})
    def test_the_whole_way(self, auth, tls):
        self.configure(auth, tls)
        self.ferry("authorize", "thomas")
        self.ferry()
        self.assert_arrived(self.sink, self.sent)
        self.assertEqual(self.real.left("thomas"), [])
        self.assertGreater(self.oauth.count("introspect"), 0)

    @cases({auth: auth for auth in ("xoauth2", "oauthbearer")})
    def test_a_token_that_was_withdrawn_is_renewed(self, auth):
        self.configure(auth)
        self.oauth.rotation = "strict"
        self.ferry("authorize", "thomas")
        self.oauth.access.clear()
        self.ferry()
        self.assert_arrived(self.sink, self.sent)
        self.assertEqual(self.oauth.count("token"), 2)

    @cases({auth: auth for auth in ("xoauth2", "oauthbearer")})
    def test_tokens_of_somebody_else_do_not_let_in(self, auth):
        self.configure(auth)
        self.oauth.user = "mallory"
        self.ferry("authorize", "thomas")
        run = self.ferry(status=LOGIN)
        self.assert_names(run, "thomas", "localhost refused the login")
        for secret in self.oauth.issued:
            self.assertNotIn(secret, run.stderr)

    def test_kill_9_between_answer_and_use(self):
        self.configure("auto")
        self.oauth.rotation, self.oauth.lifetime = "strict", 30
        self.ferry("authorize", "thomas")
        for _ in range(3):
            seen = self.oauth.count("introspect")
            process = self.popferry.start()
            self.wait_for(lambda n=seen: self.oauth.count("introspect") > n)
            process.kill()
            self.popferry.finish(process)
        self.again()
        self.ferry()
        self.assert_arrived(self.sink, [*self.sent, self.sent[0]], duplicates=3)
        self.assertEqual(self.real.left("thomas"), [])
