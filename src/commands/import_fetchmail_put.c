/* From fetchmail's settings to an account of a fetchrc. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/import_fetchmail.h"

static bool is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

/* fetchmail without ssl tries STLS and goes on in clear; popferry does what is written. */
static void put_tls(struct import *import, const struct settings *settings, struct import_account *account)
{
    const char *proto = settings->sslproto;

    if (settings->ssl)
        account->tls = TLS_IMPLICIT;
    else if (proto != NULL && *proto == '\0')
        account->tls = TLS_NONE;
    else if (proto == NULL && account->host != NULL && is_loopback(account->host))
        account->tls = TLS_NONE;
    else
        account->tls = TLS_STARTTLS;
    if (account->tls == TLS_STARTTLS && proto == NULL)
        import_note(import, account,
                    "fetchmail went on in clear where the server has no STLS; for that write tls = \"none\"");
    if (account->tls == TLS_NONE)
        return; /* certificates do nothing then */
    import_text(import, &account->options, "tls_ca_file", settings->sslcertfile);
    import_text(import, &account->options, "tls_cert_file", settings->sslcert);
    import_text(import, &account->options, "tls_key_file", settings->sslkey);
    if (settings->sslfingerprint != NULL)
        import_fingerprint(import, account, settings->sslfingerprint);
    if (!settings->sslcertck)
        import_note(import, account,
                    "no sslcertck: popferry always checks certificates; `popferry check %s` shows the "
                    "tls_fingerprint of one that no CA signed",
                    account->title);
}

static void put_login(struct import *import, const struct settings *settings, struct import_account *account)
{
    static const char *const same[] = {"cram-md5", "external", "oauthbearer", "xoauth2"};
    const char *auth = settings->auth;
    const char *protocol = settings->protocol;
    size_t i;

    if (settings->password != NULL) {
        import_text(import, &account->options, "password", settings->password);
        account->has_password = true;
    } else {
        import_note(import, account, "no password here: fetchmail asked for it, or took it from ~/.netrc");
    }
    if (protocol != NULL && strcasecmp(protocol, "apop") == 0)
        import_text(import, &account->options, "auth", "apop");
    else if (protocol == NULL || strcasecmp(protocol, "auto") == 0)
        import_note(import, account, "no protocol was given: POP3 is meant here");
    else if (strcasecmp(protocol, "pop3") != 0)
        account->dropped = true;
    if (account->dropped)
        import_note(import, account, "protocol %s: popferry fetches by POP3 only", protocol);
    if (auth == NULL || strcasecmp(auth, "any") == 0 || strcasecmp(auth, "password") == 0)
        return;
    for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        if (strcasecmp(auth, same[i]) == 0) {
            import_text(import, &account->options, "auth", same[i]);
            return;
        }
    }
    import_note(import, account, "auth %s has no counterpart", auth);
}

/* Multidrop: what fetchmail guessed from names and domains must be written out as rules. */
static void put_multidrop(struct import *import, const struct settings *settings,
                          struct import_account *account)
{
    struct buf rules;
    size_t i;
    size_t d;

    buf_init(&rules, 64 * 1024);
    for (i = 0; i < settings->names.count; i++) {
        const char *from = settings->names.from[i];
        if (strcmp(from, "*") == 0)
            import_note(import, account,
                        "fetchmail passed unknown names on as they are (*); write rules \"@DOMAIN=USER\" or "
                        "\"*=USER\"");
        else if (strchr(from, '@') != NULL)
            import_print(import, &rules, "%s=%s\n", from, settings->names.to[i]);
        else if (settings->domains.count == 0)
            import_print(import, &rules, "%s@%s=%s\n", from, account->host, settings->names.to[i]);
        for (d = 0; d < settings->domains.count && strchr(from, '@') == NULL && strcmp(from, "*") != 0; d++)
            import_print(import, &rules, "%s@%s=%s\n", from, settings->domains.from[d],
                         settings->names.to[i]);
    }
    if (settings->no_envelope || settings->envelope == NULL ||
        strcasecmp(settings->envelope, "Received") == 0) {
        import_note(
            import, account,
            "fetchmail took the recipients from Received, To and Cc, which popferry does not guess at:");
        import_note(import, account, "name the header in which the provider writes the envelope's recipient");
        import_list(import, &account->options, "envelope_header",
                    "X-Envelope-To\nX-Original-To\nDelivered-To");
    } else {
        import_list(import, &account->options, "envelope_header", settings->envelope);
    }
    if (settings->qvirtual != NULL)
        import_note(import, account, "qvirtual %s: put the prefix into the addresses of the rules",
                    settings->qvirtual);
    if (rules.len > 0)
        import_list(import, &account->options, "map", rules.data);
    buf_free(&rules);
}

static void put_recipients(struct import *import, const struct settings *settings,
                           struct import_account *account)
{
    const struct names *names = &settings->names;
    bool pair = names->count == 1 && names->from[0] != names->to[0];

    if (settings->smtpname != NULL) {
        import_list(import, &account->options, "recipients", settings->smtpname);
    } else if (names->count == 0) {
        import_self(import, account);
    } else if (names->count == 1 && !pair && strcmp(names->from[0], "*") != 0) {
        import_list(import, &account->options, "recipients", names->from[0]);
    } else {
        import_self(import, account);
        put_multidrop(import, settings, account);
    }
}

/* "host", "host/port", or the path of an LMTP socket. */
static void put_destination(struct import *import, const struct settings *settings,
                            struct import_account *account)
{
    const char *target = settings->smtphost != NULL ? settings->smtphost : "localhost";
    const char *slash = strchr(target, '/');
    struct buf lines;
    char host[256];

    buf_init(&lines, 16384);
    if (settings->lmtp || slash == target)
        import_text(import, &lines, "protocol", "lmtp");
    if (slash == target) {
        import_text(import, &lines, "socket", target);
    } else {
        (void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(target, "/"), target);
        import_text(import, &lines, "host", host);
        if (slash != NULL)
            import_number(import, &lines, "port", strtoul(slash + 1, NULL, 10));
    }
    if (settings->smtpaddress != NULL && !settings->lmtp && slash != target)
        import_text(import, &lines, "recipient_domain", settings->smtpaddress);
    if (settings->esmtpname != NULL && settings->esmtppassword != NULL) {
        import_text(import, &lines, "username", settings->esmtpname);
        import_text(import, &lines, "password", settings->esmtppassword);
        account->has_password = true;
        import_text(import, &lines, "tls", "starttls");
    }
    if (lines.len > 0)
        import_text(import, &account->options, "destination", import_destination(import, lines.data));
    if (settings->mda != NULL)
        import_note(import, account, "mda %s has no counterpart: mail goes to the SMTP server of this host",
                    settings->mda);
    buf_free(&lines);
}

static void put_notes(struct import *import, const struct settings *settings, struct import_account *account)
{
    const char *line = settings->notes;

    while (*line != '\0') {
        size_t len = strcspn(line, "\n");
        import_note(import, account, "no counterpart: %.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
    if (settings->timeout != NULL)
        import_note(import, account, "timeout %s: popferry has one for all, at the top of the fetchrc",
                    settings->timeout);
}

void import_fetchmail_account(struct import *import, const struct settings *settings)
{
    const char *host = settings->via != NULL ? settings->via : settings->poll;
    struct import_account *account = import_account(import, settings->poll, host, settings->user);
    const char *service = settings->service;

    if (account == NULL)
        return;
    if (service != NULL && !import_port(account, service) && strcasecmp(service, "pop3") != 0 &&
        strcasecmp(service, "pop3s") != 0)
        import_note(import, account, "service %s: write its number as port", service);
    if (settings->user == NULL) {
        account->user = import_copy(import, import->self[0] != '\0' ? import->self : getenv("USER"));
        import_note(import, account, "fetchmail took the name of the local user");
    }
    put_tls(import, settings, account);
    put_login(import, settings, account);
    if (settings->skip)
        import_word(import, &account->options, "enabled", "false");
    put_recipients(import, settings, account);
    put_destination(import, settings, account);
    import_keep(import, account, settings->keep);
    if (settings->limit != NULL && strtoul(settings->limit, NULL, 10) > 0)
        import_number(import, &account->options, "max_size", strtoul(settings->limit, NULL, 10));
    if (settings->fetchlimit != NULL && strtoul(settings->fetchlimit, NULL, 10) > 0)
        import_number(import, &account->options, "max_messages", strtoul(settings->fetchlimit, NULL, 10));
    put_notes(import, settings, account);
}
