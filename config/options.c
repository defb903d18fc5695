#include "config/options.h"

#include <string.h>

#include "config/config.h"
#include "config/values.h"

#define DAY (24u * 60 * 60)
#define WORDS(...) ((const struct option_word[]){__VA_ARGS__, {NULL, 0}})
#define ROW(label, owner, member, kind, text, ...)                                                           \
    {                                                                                                        \
        .name = label, .type = OPTION_##kind, .offset = offsetof(struct owner, member),                      \
        .size = sizeof(((struct owner *)0)->member), .fallback = text, __VA_ARGS__                           \
    }

const struct option_word option_auth_words[] = {
    {"auto", AUTH_AUTO},
    {"plain", AUTH_PLAIN},
    {"login", AUTH_LOGIN},
    {"cram-md5", AUTH_CRAM_MD5},
    {"apop", AUTH_APOP},
    {"user", AUTH_USER},
    {"oauthbearer", AUTH_OAUTHBEARER},
    {"xoauth2", AUTH_XOAUTH2},
    {"external", AUTH_EXTERNAL},
    {NULL, 0},
};

#define TLS_WORDS WORDS({"none", TLS_NONE}, {"starttls", TLS_STARTTLS}, {"implicit", TLS_IMPLICIT})

/* What a destination and an account have in common. */
#define PEER_ROWS(owner)                                                                                     \
    ROW("tls_ca_file", owner, peer.tls_ca_file, FILE, NULL,                                                  \
        .help = "certificates (PEM) that are trusted instead of the system's"),                              \
        ROW("tls_fingerprint", owner, peer.tls_fingerprint, TEXT, NULL, .check = value_fingerprint,          \
            .help = "SHA-256 of the server's certificate, checked instead of its CA and name"),              \
        ROW("tls_cert_file", owner, peer.tls_cert_file, FILE, NULL, .help = "own certificate (PEM)"),        \
        ROW("tls_key_file", owner, peer.tls_key_file, FILE, NULL,                                            \
            .help = "the key to tls_cert_file, where it stands in another file"),                            \
        ROW("username", owner, peer.username, TEXT, NULL, .check = value_text, .help = "the login name"),    \
        ROW("password", owner, peer.secret.password, TEXT, NULL, .check = value_text, .secret = true,        \
            .guarded = true, .help = "the password itself; nobody else may read the file then"),                              \
        ROW("password_file", owner, peer.secret.password_file, PATH, NULL,                                   \
            .help = "a file with the password, which nobody else may read"),                                 \
        ROW("password_command", owner, peer.secret.password_command, TEXT, NULL, .secret = true,             \
            .help = "a shell command that prints the password"),                                             \
        ROW("credential", owner, peer.secret.credential, TEXT, NULL, .check = value_credential,              \
            .help = "a file in $CREDENTIALS_DIRECTORY with the password (systemd LoadCredential)"),          \
        ROW("auth", owner, peer.auth, WORD, "auto", .words = option_auth_words,                              \
            .help = "the login mechanism"),                                                                  \
        ROW("proxy", owner, peer.proxy, TEXT, NULL, .check = value_proxy, .secret = true,                    \
            .help = "a SOCKS or HTTP proxy, as in socks5h://127.0.0.1:9050")

static const struct option_row top_rows[] = {
    ROW("jobs", config, jobs, NUMBER, "8", .min = 1, .max = 1000,
        .help = "mailboxes polled at the same time"),
    ROW("jobs_per_host", config, jobs_per_host, NUMBER, "4", .min = 1, .max = 1000,
        .help = "of them, on one POP3 host"),
    ROW("timeout", config, timeout, TIME, "60", .min = 1, .max = DAY,
        .help = "time within which a peer must answer, or bring on a long answer"),
    ROW("final_timeout", config, final_timeout, TIME, "10m", .min = 1, .max = DAY,
        .help = "time within which an SMTP server must answer the end of a message"),
    ROW("forget_after", config, forget_after, TIME, "90d", .min = 1, .max = 36500ull * DAY,
        .help = "time after which a message that the server lists no more is forgotten"),
    ROW("state_dir", config, state_dir, PATH, NULL, .help = "where the history, locks and tokens are"),
    ROW("report_after", config, report_after, NUMBER, "1", .min = 1, .max = 1000000,
        .help = "failed runs in a row from which a passing fault is told"),
    ROW("stale_after", config, stale_after, TIME, "24h", .min = 1, .max = 36500ull * DAY,
        .help = "time without success after which `popferry status` complains"),
    ROW("metrics_file", config, metrics_file, PATH, NULL,
        .help = "metrics for Prometheus, written after each run"),
};

static const struct option_row destination_rows[] = {
    ROW("protocol", config_destination, protocol, WORD, "smtp",
        .words = WORDS({"smtp", CONFIG_SMTP}, {"lmtp", CONFIG_LMTP}), .help = "SMTP or LMTP"),
    ROW("host", config_destination, peer.host, TEXT, NULL, .check = value_host,
        .help = "the server; localhost by default"),
    ROW("port", config_destination, peer.port, NUMBER, NULL, .min = 1, .max = 65535,
        .help = "25 by default, 24 for LMTP"),
    ROW("socket", config_destination, socket, PATH, NULL, .check = value_socket,
        .help = "LMTP: a unix socket instead of host and port"),
    ROW("tls", config_destination, peer.tls, WORD, "none", .words = TLS_WORDS, .help = "encryption"),
    PEER_ROWS(config_destination),
    ROW("connections", config_destination, connections, NUMBER, "4", .min = 1, .max = 100,
        .help = "delivery sessions at once"),
    ROW("helo", config_destination, helo, TEXT, NULL, .check = value_host,
        .help = "the name to greet with; this host's by default"),
    ROW("xclient", config_destination, xclient, SWITCH, "false",
        .help = "tell Postfix the client that handed the message to the provider (XCLIENT)"),
    ROW("chunking", config_destination, chunking, SWITCH, "false",
        .help = "send messages with BDAT where the server can"),
    ROW("notify", config_destination, no_notify, WORD, "default",
        .words = WORDS({"default", false}, {"never", true}),
        .help = "never: ask for no delivery status notifications (DSN)"),
    ROW("recipient_domain", config_destination, recipient_domain, TEXT, "localhost", .check = value_host,
        .help = "put behind a recipient without a domain; SMTP only"),
};

static const struct option_row account_rows[] = {
    ROW("provider", config_account, provider, TEXT, NULL, .check = value_text,
        .help = "a known provider, which sets host, port, tls and auth"),
    ROW("host", config_account, peer.host, TEXT, NULL, .check = value_host, .help = "the POP3 server"),
    ROW("port", config_account, peer.port, NUMBER, NULL, .min = 1, .max = 65535,
        .help = "995 by default, 110 without implicit TLS"),
    ROW("tls", config_account, peer.tls, WORD, "implicit", .words = TLS_WORDS, .help = "encryption"),
    PEER_ROWS(config_account),
    ROW("recipients", config_account, recipients, LIST, NULL, .check = value_recipient,
        .help = "who gets the mail; by default the user who runs popferry"),
    ROW("destination", config_account, destination, LINK, NULL, .check = value_text,
        .help = "the title of a destination"),
    ROW("keep", config_account, keep, SWITCH, "false", .help = "leave delivered mail on the server"),
    ROW("keep_days", config_account, keep_days, NUMBER, NULL, .min = 1, .max = 36500,
        .help = "days that delivered mail is left on the server"),
    ROW("max_size", config_account, max_size, SIZE, NULL, .min = 0, .max = UINT64_MAX >> 1,
        .help = "larger messages stay on the server"),
    ROW("oversize", config_account, oversize, WORD, "skip",
        .words = WORDS({"skip", CONFIG_OVERSIZE_SKIP}, {"headers", CONFIG_OVERSIZE_HEADERS}),
        .help = "headers: deliver a notice with the header of a message over max_size"),
    ROW("max_messages", config_account, max_messages, NUMBER, NULL, .min = 0, .max = UINT32_MAX >> 1,
        .help = "messages taken in one run"),
    ROW("pipelining", config_account, pipelining, WORD, "auto",
        .words = WORDS({"auto", CONFIG_PIPELINING_AUTO}, {"on", CONFIG_PIPELINING_ON},
                       {"off", CONFIG_PIPELINING_OFF}),
        .help = "several commands in flight: auto as CAPA says"),
    ROW("sender", config_account, sender, TEXT, "return-path", .check = value_sender,
        .help = "the envelope's sender: \"return-path\", an address, or \"<>\""),
    ROW("on_reject", config_account, on_reject, WORD, "keep",
        .words = WORDS({"keep", CONFIG_REJECT_KEEP}, {"quarantine", CONFIG_REJECT_QUARANTINE},
                       {"forward", CONFIG_REJECT_FORWARD}),
        .help = "what becomes of a message that the SMTP server refuses for good"),
    ROW("reject_recipient", config_account, reject_recipient, TEXT, NULL, .check = value_recipient,
        .help = "who gets it with on_reject = \"forward\""),
    ROW("envelope_header", config_account, envelope_header, LIST, NULL, .check = value_header_name,
        .help = "multidrop: the header fields that name the recipient"),
    ROW("map", config_account, map, MAP, NULL,
        .help = "multidrop: rules ADDRESS=RECIPIENT, @DOMAIN=RECIPIENT, *=RECIPIENT"),
    ROW("trusted_hosts", config_account, trusted_hosts, LIST, NULL, .check = value_trusted_host,
        .help = "hosts whose Received headers are believed (XCLIENT); .DOMAIN for all below it"),
    ROW("max_hops", config_account, max_hops, NUMBER, "50", .min = 1, .max = 1000,
        .help = "how often a message may have passed this host before it is a loop"),
    ROW("oauth", config_account, oauth, LINK, NULL, .check = value_text,
        .help = "the title of an oauth section"),
    ROW("token_command", config_account, token_command, TEXT, NULL, .secret = true,
        .help = "a shell command that prints an OAuth2 access token"),
    ROW("enabled", config_account, enabled, SWITCH, "true",
        .help = "false: polled only when named on the command line"),
};

static const struct option_row oauth_rows[] = {
    ROW("token_endpoint", config_oauth, token_endpoint, TEXT, NULL, .check = value_https,
        .help = "where tokens are got"),
    ROW("device_endpoint", config_oauth, device_endpoint, TEXT, NULL, .check = value_https,
        .help = "where a device login begins (RFC 8628)"),
    ROW("authorization_endpoint", config_oauth, authorization_endpoint, TEXT, NULL, .check = value_https,
        .help = "where a browser login begins (RFC 8252)"),
    ROW("client_id", config_oauth, client_id, TEXT, NULL, .check = value_text,
        .help = "the registered client"),
    ROW("client_secret", config_oauth, client_secret, TEXT, NULL, .check = value_text, .secret = true,
        .guarded = true, .help = "its secret, where the provider gave one; nobody else may read the file then"),
    ROW("scope", config_oauth, scope, TEXT, NULL, .check = value_text,
        .help = "what is asked for, separated by spaces"),
    ROW("tls_ca_file", config_oauth, tls_ca_file, FILE, NULL,
        .help = "certificates (PEM) that are trusted instead of the system's"),
};

#define TABLE(label, rows)                                                                                   \
    {                                                                                                        \
        label, rows, sizeof(rows) / sizeof((rows)[0])                                                        \
    }
#define FITS(rows) _Static_assert(sizeof(rows) / sizeof((rows)[0]) <= OPTION_MAX, "raise OPTION_MAX")
FITS(top_rows);
FITS(destination_rows);
FITS(account_rows);
FITS(oauth_rows);

const struct option_table option_tables[SECTION_COUNT] = {
    [SECTION_TOP] = TABLE("", top_rows),
    [SECTION_DESTINATION] = TABLE("destination", destination_rows),
    [SECTION_ACCOUNT] = TABLE("account", account_rows),
    [SECTION_OAUTH] = TABLE("oauth", oauth_rows),
};

static bool same(const char *known, const char *name, size_t len)
{
    return strncmp(known, name, len) == 0 && known[len] == '\0';
}

int option_find(enum option_section section, const char *name, size_t len)
{
    const struct option_table *table = &option_tables[section];
    size_t i;

    for (i = 0; i < table->count; i++) {
        if (same(table->rows[i].name, name, len))
            return (int)i;
    }
    return -1;
}

enum option_section option_section_find(const char *name, size_t len)
{
    enum option_section s;

    for (s = SECTION_DESTINATION; s < SECTION_COUNT; s++) {
        if (same(option_tables[s].name, name, len))
            break;
    }
    return s;
}

const char *option_word_name(const struct option_word *words, unsigned value)
{
    for (; words->name != NULL; words++) {
        if (words->value == value)
            return words->name;
    }
    return "?";
}
