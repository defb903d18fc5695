"""Encryption, certificates and every login mechanism, on both shores."""
import os
import select

from kit.case import PASSWORD, Case, cases
from kit.certs import Certs
from kit.messages import letters
from kit.pop3 import At
from kit.popferry import LOGIN, PROTOCOL, REFUSED, RETRY

ALL = ("UIDL", "TOP", "USER", "PIPELINING", "SASL PLAIN LOGIN CRAM-MD5 XOAUTH2 OAUTHBEARER")


class Logins(Case):
    def crosses(self, caps=ALL, tls="none", apop=True, **account):
        pop3, smtp = self.pop3(letters(2), caps=caps, apop=apop, tls=tls), self.smtp()
        self.fetchrc(pop3, smtp, **account)
        self.assert_silent(self.ferry())
        self.assert_arrived(smtp, letters(2))
        self.assertEqual(pop3.left("thomas"), [])
        return [c.split()[0] + (" " + c.split()[1] if c.startswith("AUTH") else "") for c in pop3.sessions[0].commands
                if c.split()[0] in ("USER", "APOP", "AUTH")]

    @cases({f"{auth} {tls}": (auth, tls, words) for tls in ("none", "starttls", "implicit") for auth, words in
            (("plain", "AUTH PLAIN"), ("user", "USER"), ("apop", "APOP"), ("cram-md5", "AUTH CRAM-MD5"), ("login", "AUTH LOGIN"))})
    def test_the_named_mechanism_is_used(self, auth, tls, words):
        self.assertEqual(self.crosses(tls=tls, auth=auth), [words])

    @cases({
        "PLAIN over TLS": ("implicit", ALL, True, "AUTH PLAIN"), "USER over TLS": ("implicit", ("UIDL", "USER"), True, "USER"),
        "APOP in clear": ("none", ALL, True, "APOP"), "PLAIN in clear without APOP": ("none", ALL, False, "AUTH PLAIN"),
        "USER in clear without all": ("none", ("UIDL",), False, "USER"), "USER without CAPA": ("none", None, False, "USER"),
    })
    def test_auto_chooses(self, tls, caps, apop, words):
        self.assertEqual(self.crosses(caps, tls, apop), [words])

    def test_a_refused_mechanism_is_not_followed_by_another(self):
        pop3, smtp = self.pop3(letters(1), caps=ALL, apop=True), self.smtp()
        self.fetchrc(pop3, smtp, password="wrong")
        self.ferry(status=LOGIN)
        self.assertEqual(len([c for c in pop3.commands() if c.split()[0] in ("USER", "APOP", "AUTH")]), 1)

    def test_user_and_pass_never_go_in_one_flight(self):
        pop3, smtp = self.pop3(letters(1), caps=("UIDL", "USER", "PIPELINING")), self.smtp()
        pop3.rules = [At("USER").delay(0.2).call(lambda s: setattr(s, "early", bool(s.buffer) or readable(s.sock))).normal()]
        self.fetchrc(pop3, smtp, auth="user")
        self.ferry()
        self.assertFalse(pop3.sessions[0].early)

    @cases({"spaces": "two words ", "8-bit": "päßwörd", "quotes": "a\"b'c", "long": "x" * 200, "a percent sign": "100%s%n"})
    def test_passwords_of_every_kind(self, password):
        for auth in ("plain", "user", "apop", "cram-md5", "login"):
            pop3, smtp = self.pop3(letters(1), caps=ALL, apop=True), self.smtp()
            pop3.mailboxes["thomas"].password = password
            self.fetchrc(pop3, smtp, auth=auth, password=password)
            self.ferry()
            self.assertEqual(len(smtp.accepted), 1, auth)


    def show_nothing_of(self, secrets):
        """Neither a run, status and check nor what is kept."""
        for run in self.popferry.runs:
            for secret in secrets:
                self.assertNotIn(secret.lower(), (run.stdout + run.stderr).lower())
        for directory, _, names in os.walk(self.popferry.state):
            for name in names:
                with open(os.path.join(directory, name), "rb") as file:
                    kept = file.read().lower()
                for secret in secrets:
                    self.assertNotIn(secret.lower().encode(), kept, name)

    def look(self, status=LOGIN):
        runs = [self.ferry("-vv", status=status), self.ferry("status", status=None), self.ferry("status", "--json", status=None),
                self.ferry("check", status=None)]
        self.assertIn("***", runs[0].stderr)
        return runs

    @cases({
        "USER": ("user", "PASS", PASSWORD, lambda words: words), "PLAIN": ("plain", "AUTH", PASSWORD, lambda words: words),
        "a long PLAIN": ("plain", "AUTH", "x1" * 120, lambda words: words),
        "LOGIN": ("login", "AUTH", PASSWORD, lambda words: words),
        "CRAM-MD5": ("cram-md5", "AUTH", PASSWORD, lambda words: words),
        "APOP": ("apop", "APOP", PASSWORD, lambda words: words), "USER in capitals": ("user", "PASS", PASSWORD, str.upper),
        "PLAIN, cut": ("plain", "AUTH", PASSWORD, lambda words: words[:-len(PASSWORD) - 4]),
    })
    def test_what_a_server_repeats_of_the_login_is_shown_nowhere(self, auth, step, password, change):
        pop3, smtp = self.pop3(letters(1), caps=ALL, apop=True), self.smtp()
        said = []

        def repeat(session):
            sent = [session.commands[-1].split(" ", 1 if step == "PASS" else 2)[-1]] if auth not in ("login", "cram-md5") else []
            if step == "AUTH" and len(session.commands[-1].split()) < 3:
                sent = [session.ask("").strip() for _ in range(2 if auth == "login" else 1)]
            said.extend([password, *(word for word in sent if word != "dGhvbWFz")])
            session.send(b"what does that mean?\r\n" if auth == "login" else b"")
            session.send(f"-ERR unknown command {change(' '.join([*sent, password]))}\r\n".encode())

        pop3.rules = [At(step).call(repeat)]
        self.fetchrc(pop3, smtp, auth=auth, password=password)
        runs = self.look()
        self.assertIn("-ERR unknown command ***", runs[0].stderr)
        self.show_nothing_of(said + [word[:24] for word in said if len(word) > 24])

    @cases({"a reply that is none": b"what is %s?\r\n", "a second reply": b"+OK\r\n-ERR what is %s?\r\n",
            "a farewell": b"-ERR what is %s?\r\n"})
    def test_a_reply_out_of_order_repeats_no_secret_either(self, reply):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        pop3.rules = [At("PASS").reply(reply % PASSWORD.encode()).close()]
        self.fetchrc(pop3, smtp, auth="user")
        self.ferry("-vv", status=None)
        self.ferry("status", status=None)
        self.show_nothing_of([PASSWORD])

    @cases({"OK": "OK", "ERR": "ERR", "of one octet": "K", "like a capability": "UIDL", "like the listing": "1"})
    def test_a_password_that_looks_like_a_reply_disturbs_nothing(self, password):
        for auth in ("user", "plain", "login"):
            pop3, smtp = self.pop3(letters(2), caps=ALL), self.smtp()
            pop3.mailboxes["thomas"].password = password
            self.fetchrc(pop3, smtp, auth=auth, password=password)
            self.ferry("-vv")
            self.assert_arrived(smtp, letters(2))

    def test_a_password_that_is_a_short_word_is_masked_where_it_is_repeated_as_such(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        pop3.rules = [At("PASS").reply(b"-ERR no: pas xpas (pas), PASS pas\r\n")]
        self.fetchrc(pop3, smtp, auth="user", password="pas")
        self.assert_names(self.ferry(status=LOGIN), "-ERR no: pas xpas (***), PASS ***")

    @cases({auth: auth for auth in ("auto", "plain", "login", "cram-md5")})
    def test_what_a_destination_repeats_of_the_login_is_shown_nowhere(self, auth):
        pop3, smtp = self.pop3(letters(1)), self.smtp(users={"ferry": PASSWORD})
        said = []

        def repeat(session):
            sent = session.commands[-1].split(" ")[2:]
            while len(sent) < (2 if auth == "login" else 1):
                sent.append(session.ask("").strip())
            said.extend([PASSWORD, sent[-1]])
            session.send(f"502-5.5.1 {sent[-1]}\r\n502 5.5.1 unknown command {sent[-1]} {PASSWORD}\r\n".encode())

        smtp.rules = [At("AUTH").call(repeat)]
        self.fetchrc(pop3, smtp, to={"username": "ferry", "password": PASSWORD, "auth": auth})
        runs = self.look(None)
        self.assertIn("unknown command *** ***", runs[0].stderr)
        self.show_nothing_of(said)


def readable(sock):
    return bool(select.select([sock], [], [], 0)[0])


class Certificates(Case):
    def attempt(self, tls, cert, status, **account):
        pop3, smtp = self.pop3(letters(1), tls=tls, cert=cert), self.smtp()
        self.fetchrc(pop3, smtp, **account)
        run = self.ferry(status=status)
        if status:
            self.assert_names(run, "thomas", "localhost")
            self.assertEqual((smtp.sessions, pop3.commands("USER"), pop3.commands("AUTH"), pop3.commands("APOP")), ([], [], [], []))
        else:
            self.assert_arrived(smtp, letters(1))
        return run

    BAD = {f"{name} {tls}": (name, tls) for name in ("expired", "wrong_host", "self_signed") for tls in ("starttls", "implicit")}

    @cases(BAD)
    def test_a_bad_certificate_is_refused(self, name, tls):
        self.attempt(tls, getattr(Certs.shared(), name), PROTOCOL)

    @cases(BAD)
    def test_a_pin_stands_in_for_authority_and_name(self, name, tls):
        cert = getattr(Certs.shared(), name)
        self.attempt(tls, cert, 0, tls_fingerprint="sha256:" + cert.sha256, tls_ca_file=None)

    @cases({tls: tls for tls in ("starttls", "implicit")})
    def test_a_pin_that_does_not_match_is_refused_before_the_login(self, tls):
        self.attempt(tls, Certs.shared().good, PROTOCOL, tls_fingerprint="sha256:" + "0" * 64)

    def test_a_pin_may_be_written_in_capitals_and_with_colons(self):
        sha = Certs.shared().good.sha256.upper()
        pin = "SHA256:" + ":".join(sha[i:i + 2] for i in range(0, 64, 2))
        self.attempt("implicit", Certs.shared().good, 0, tls_fingerprint=pin)

    def test_an_authority_that_the_system_does_not_know_is_refused(self):
        self.attempt("implicit", Certs.shared().good, PROTOCOL, tls_ca_file=None)

    def test_a_client_certificate_is_shown(self):
        client = Certs.shared().client
        pop3, smtp = self.pop3(letters(1), tls="implicit", client_ca=Certs.shared().ca), self.smtp()
        self.fetchrc(pop3, smtp, tls_cert_file=client.chain, tls_key_file=client.key)
        self.ferry()
        self.assertEqual(len(smtp.accepted), 1)

    def test_a_server_that_speaks_no_tls_at_all(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.careful = False
        self.fetchrc(pop3, smtp, tls="implicit", host="localhost")
        run = self.ferry(status={PROTOCOL, RETRY})
        self.assert_names(run, "thomas")


class Destination(Case):
    def attempt(self, status=0, to=None, **smtp):
        pop3, smtp = self.pop3(letters(2)), self.smtp(**smtp)
        self.fetchrc(pop3, smtp, to=to)
        run = self.ferry(status=status)
        if status == 0:
            self.assert_arrived(smtp, letters(2))
        else:
            self.assertEqual(smtp.accepted, [])
            self.assertEqual(len(pop3.left("thomas")), 2)
        return run, smtp

    @cases({tls: tls for tls in ("starttls", "implicit")})
    def test_over_tls(self, tls):
        self.attempt(tls=tls)

    @cases({f"{tls} {auth}": (tls, auth) for tls in ("none", "starttls", "implicit") for auth in ("auto", "plain", "login", "cram-md5")})
    def test_with_a_login(self, tls, auth):
        _, smtp = self.attempt(to={"username": "ferry", "password": PASSWORD, "auth": auth}, tls=tls, users={"ferry": PASSWORD})
        self.assertEqual(len(smtp.commands("AUTH")), len(smtp.sessions))

    def test_a_wrong_password_is_a_fault_of_the_login(self):
        run, _ = self.attempt(LOGIN, {"username": "ferry", "password": "wrong"}, users={"ferry": PASSWORD})
        self.assert_names(run, "535 5.7.8", "127.0.0.1")

    def test_a_login_that_the_server_does_not_offer_is_a_fault(self):
        run, _ = self.attempt({LOGIN, PROTOCOL}, {"username": "ferry", "password": PASSWORD})
        self.assertNotEqual(run.stderr, "")

    @cases({name: name for name in ("expired", "wrong_host", "self_signed")})
    def test_a_bad_certificate_is_refused(self, name):
        self.attempt(PROTOCOL, tls="starttls", cert=getattr(Certs.shared(), name))

    def test_starttls_that_is_not_offered_is_never_answered_with_clear_text(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp()
        self.fetchrc(pop3, smtp, to={"tls": "starttls", "tls_ca_file": Certs.shared().ca})
        self.ferry(status=PROTOCOL)
        self.assertEqual(smtp.commands("MAIL"), [])

    @cases({"refused": b"454 4.7.0 not now\r\n", "refused for good": b"502 5.5.1 no\r\n"})
    def test_starttls_that_is_refused_is_never_answered_with_clear_text(self, reply):
        pop3, smtp = self.pop3(letters(1)), self.smtp(tls="starttls")
        smtp.rules = [At("STARTTLS").reply(reply)]
        self.fetchrc(pop3, smtp)
        self.ferry(status={PROTOCOL, RETRY, REFUSED})
        self.assertEqual((smtp.commands("MAIL"), len(pop3.left("thomas"))), ([], 1))

    def test_replies_behind_starttls_are_never_taken_for_an_answer(self):
        pop3, smtp = self.pop3(letters(1)), self.smtp(tls="starttls")
        smtp.rules = [At("STARTTLS").edit(lambda reply: reply + b"250-kit\r\n250 PIPELINING\r\n250 ok\r\n")]
        self.fetchrc(pop3, smtp)
        self.ferry(status={PROTOCOL, RETRY})
        self.assertEqual(smtp.accepted, [])
