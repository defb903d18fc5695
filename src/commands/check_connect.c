#include <stdio.h>
#include <string.h>
#include <time.h>

#include "commands/check_private.h"
#include "report/clean_json.h"

#define DAY 86400
#define DAYS_SHORT 14 /* a certificate that ends so soon is worth a warning */

/* How far a session came before it failed, in the order of what happens. */
enum reached { AT_SECRET, AT_CONNECTION, AT_TLS, AT_LOGIN, AT_BEYOND };

static enum reached reached(const char *stage)
{
    static const struct {
        const char *stage;
        enum reached reached;
    } stages[] = {
        {"secret", AT_SECRET},
        {"oauth", AT_SECRET},
        {"credential", AT_SECRET},
        {"connect", AT_CONNECTION},
        {"connection", AT_CONNECTION},
        {"greeting", AT_CONNECTION},
        {"TLS", AT_TLS},
        {"login", AT_LOGIN},
        {"AUTH", AT_LOGIN},
    };
    size_t i;

    for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        if (strcmp(stages[i].stage, stage) == 0)
            return stages[i].reached;
    }
    return AT_BEYOND;
}

void check_describe_secret(const struct config_secret *secret, char *dst, size_t size)
{
    if (secret->password_file != NULL)
        (void)snprintf(dst, size, "password_file %s", secret->password_file);
    else if (secret->credential != NULL)
        (void)snprintf(dst, size, "credential %s", secret->credential);
    else
        (void)snprintf(dst, size, "%s",
                       secret->password_command != NULL ? "password_command"
                       : secret->password != NULL       ? "password"
                                                        : "");
}

static void advise_secret(struct check_subject *subject, const struct config_peer *peer,
                          const struct fault *fault)
{
    if (fault->class == FAULT_RETRY)
        check_advise(subject, "try again later");
    else if (strcmp(fault->stage, "oauth") == 0)
        check_advise(subject, "log in once more: popferry authorize %s", peer->title);
    else
        check_advise(subject,
                     "set one of password_command, password_file, credential or password of %s in %s",
                     peer->title, peer->file != NULL ? peer->file : "the fetchrc");
}

static void advise_connection(struct check_subject *subject, const struct config_peer *peer,
                              const struct fault *fault)
{
    bool destination = fault->scope == FAULT_OF_DESTINATION;

    if (strcmp(fault->stage, "greeting") == 0 && fault->class == FAULT_PROTOCOL)
        check_advise(subject, "port %u is another service, or wants tls = \"%s\"", peer->port,
                     peer->tls == TLS_NONE       ? "implicit"
                     : peer->tls == TLS_IMPLICIT ? "starttls"
                                                 : "implicit");
    else if (strcmp(fault->stage, "greeting") == 0)
        check_advise(subject, "the server is there but takes no connections now; try again later");
    else if (fault->class == FAULT_CONFIG)
        check_advise(subject, "correct `host`, `port`, `proxy` or the TLS files of %s in %s", peer->title,
                     peer->file);
    else if (destination)
        check_advise(subject,
                     "is the mail server running there? set `host` and `port` (or `socket`) of destination "
                     "\"%s\" in %s",
                     peer->title, peer->file != NULL ? peer->file : "the fetchrc");
    else
        check_advise(subject, "is the network up? are `host` and `port` right, and `tls` (implicit: 995, "
                              "starttls or none: 110)?");
}

static void advise_tls(struct check_subject *subject, const struct config_peer *peer,
                       const struct wire_certificate *certificate)
{
    if (!certificate->seen)
        check_advise(subject,
                     "set `tls` to what the server does on port %u; in clear only where nobody can listen",
                     peer->port);
    else if (peer->tls_fingerprint != NULL)
        check_advise(subject, "if the server was given a new certificate, copy its fingerprint into "
                              "tls_fingerprint; make sure of it first");
    else if (certificate->not_after < (int64_t)time(NULL))
        check_advise(subject, "tell those who run the server that its certificate has expired");
    else
        check_advise(
            subject,
            "set `host` to a name in the certificate, tls_ca_file to the authority that signed it, or "
            "tls_fingerprint to what stands above, if you are sure that it is the server's");
}

static void advise_login(struct check_subject *subject, const struct config_peer *peer,
                         const struct fault *fault, const char *hint)
{
    if (fault->class == FAULT_RETRY)
        check_advise(subject, "another program may hold the mailbox, or the server is busy: try again later");
    else if (hint != NULL)
        check_advise(subject, "%s; check `username`, password and `auth` of %s", hint, peer->title);
    else if (fault->scope == FAULT_OF_DESTINATION)
        check_advise(
            subject,
            "check `username`, password and `auth` of %s; leave them out if the server wants no login",
            peer->title);
    else
        check_advise(
            subject,
            "check `username`, password and `auth` of %s; many providers want an app password, and POP3 "
            "switched on in their web page",
            peer->title);
}

static void tell_certificate(struct check_subject *subject, const struct wire_certificate *certificate,
                             const struct fault *fault)
{
    int64_t left = (certificate->not_after - (int64_t)time(NULL)) / DAY;
    time_t until = (time_t)certificate->not_after;
    struct tm utc;
    char date[16] = "?";

    if (gmtime_r(&until, &utc) != NULL)
        (void)strftime(date, sizeof(date), "%F", &utc);
    (void)json_object_set_new(subject->facts, "certificate",
                              json_pack("{s:o*, s:o*, s:I, s:I, s:s, s:s}", "subject",
                                        clean_json(certificate->subject, strlen(certificate->subject)),
                                        "issuer", clean_json(certificate->issuer, strlen(certificate->issuer)), "not_after",
                                        (json_int_t)certificate->not_after, "days_left", (json_int_t)left,
                                        "sha256", certificate->fingerprint, "tls", certificate->tls_version));
    check_found(subject, "certificate",
                fault != NULL       ? CHECK_NOTE
                : left < DAYS_SHORT ? CHECK_WARNING
                                    : CHECK_OK,
                "%s, issued by %s, %lld days left (until %s)", certificate->subject, certificate->issuer,
                (long long)left, date);
    if (fault != NULL)
        check_fault(subject, "TLS", fault);
    check_copy(subject, "sha256:%s", certificate->fingerprint);
}

static bool is_loopback(const char *address)
{
    return address[0] == '\0' || strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static void tell_connected(struct check_subject *subject, const struct config_peer *peer,
                           const struct wire_certificate *certificate, const struct wire *wire)
{
    const char *address = wire != NULL ? wire_peer_address(wire) : "";
    bool clear = peer->tls == TLS_NONE && wire != NULL && !is_loopback(address);
    char name[512];

    if (strcmp(subject->kind, "account") == 0)
        (void)snprintf(name, sizeof(name), "%s port %u", peer->host, peer->port);
    else
        (void)snprintf(name, sizeof(name), "%s", subject->where);
    check_found(subject, "connection", clear ? CHECK_WARNING : CHECK_OK, "%s%s%s%s, %s", name,
                address[0] != '\0' ? " [" : "", address, address[0] != '\0' ? "]" : "",
                peer->tls == TLS_NONE ? "in clear"
                : certificate->seen   ? certificate->tls_version
                                      : "without TLS so far");
    if (clear)
        check_advise(subject,
                     "password and mail can be read on the way: set tls = \"implicit\" or \"starttls\"");
}

void check_connection(struct check_subject *subject, const struct config_peer *peer, const char *secret,
                      const struct wire_certificate *certificate, const struct wire *wire,
                      const struct fault *fault, const char *hint)
{
    enum reached end = fault != NULL ? reached(fault->stage) : AT_BEYOND;

    if (end == AT_SECRET) {
        check_fault(subject, "secret", fault);
        advise_secret(subject, peer, fault);
        return;
    }
    if (secret[0] != '\0')
        check_found(subject, "secret", CHECK_OK, "%s", secret);
    if (end == AT_CONNECTION) {
        check_fault(subject, "connection", fault);
        advise_connection(subject, peer, fault);
        if (certificate->seen)
            tell_certificate(subject, certificate, NULL);
        return;
    }
    tell_connected(subject, peer, certificate, wire);
    if (certificate->seen)
        tell_certificate(subject, certificate, end == AT_TLS ? fault : NULL);
    else if (end == AT_TLS)
        check_fault(subject, "TLS", fault);
    if (end == AT_TLS)
        advise_tls(subject, peer, certificate);
    if (end == AT_LOGIN) {
        check_fault(subject, "login", fault);
        advise_login(subject, peer, fault, hint);
    } else if (fault == NULL && peer->username != NULL) {
        check_found(subject, "login", CHECK_OK, "as %s", peer->username);
    } else if (end == AT_BEYOND && fault != NULL) {
        check_fault(subject, fault->stage, fault);
        check_advise(subject, "try it by hand: popferry -v talk --no-login %s", peer->title);
    }
}
