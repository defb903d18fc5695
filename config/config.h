/* The fetchrc as plain data: read-only after config_load(), shared by all threads.
 *
 * Ownership: struct config owns everything below it; config_free(). Secrets are not in here, only where they
 * come from; a literal `password` or `client_secret` is wiped by config_free(). NULL strings: not set. File
 * names are absolute or stand as they are found from the working directory: "~/" and paths relative to the
 * fetchrc are resolved. */
#ifndef POPFERRY_CONFIG_CONFIG_H
#define POPFERRY_CONFIG_CONFIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/terms.h"

struct config_list {
    char **items;
    size_t count;
};

/* Where a password or token comes from: at most one of them. */
struct config_secret {
    char *password;
    char *password_file;
    char *password_command;
    char *credential;      /* a file name in $CREDENTIALS_DIRECTORY */
    pthread_mutex_t *gate; /* the config's: commands run one at a time; NULL: no other thread is there */
};

/* What destination and account have in common. */
struct config_peer {
    char *title;
    const char *file; /* where the section stands */
    int line;
    char *host;
    unsigned port;
    enum tls_mode tls;
    char *tls_ca_file;
    char *tls_fingerprint; /* 64 lower-case hex digits, "sha256:" and colons removed */
    char *tls_cert_file;
    char *tls_key_file;
    char *username;
    struct config_secret secret;
    enum auth_mechanism auth;
    char *proxy;
};

enum config_protocol { CONFIG_SMTP, CONFIG_LMTP };

struct config_destination {
    struct config_peer peer;
    enum config_protocol protocol;
    char *socket;
    unsigned connections;
    char *helo; /* never NULL: this host's name by default */
    bool xclient;
    bool chunking;
    bool no_notify;         /* `notify = "never"`: DSN NOTIFY=NEVER */
    char *recipient_domain; /* put behind a bare name; SMTP only */
};

enum config_oversize { CONFIG_OVERSIZE_SKIP, CONFIG_OVERSIZE_HEADERS };
enum config_pipelining { CONFIG_PIPELINING_AUTO, CONFIG_PIPELINING_ON, CONFIG_PIPELINING_OFF };
enum config_on_reject { CONFIG_REJECT_KEEP, CONFIG_REJECT_QUARANTINE, CONFIG_REJECT_FORWARD };

struct config_map {
    char *from; /* "address", "@domain" or "*" */
    char *to;
};

struct config_oauth {
    char *title;
    const char *file;
    int line;
    char *token_endpoint;
    char *device_endpoint;
    char *authorization_endpoint;
    char *client_id;
    char *client_secret;
    char *scope;
    char *tls_ca_file; /* for a private authorization server */
};

struct config_account {
    struct config_peer peer;
    char *identity;            /* username@host, host in lower case, ":port" added unless 110 or 995 */
    char *provider;            /* preset's name */
    const char *provider_hint; /* what `check` says about it; static text or NULL */
    struct config_list recipients;
    const struct config_destination *destination;
    bool enabled;
    bool keep;          /* true as well where keep_days is set */
    unsigned keep_days; /* 0: not set, kept for ever */
    uint64_t max_size;  /* octets, 0: no limit */
    enum config_oversize oversize;
    unsigned max_messages; /* 0: no limit */
    enum config_pipelining pipelining;
    char *sender; /* "return-path", "<>" or an address */
    enum config_on_reject on_reject;
    char *reject_recipient;
    struct config_list envelope_header; /* empty: no multidrop */
    struct config_map *map;
    size_t map_count;
    struct config_list trusted_hosts;
    unsigned max_hops;
    const struct config_oauth *oauth; /* NULL: none */
    char *token_command;              /* prints an access token; NULL: none */
};

struct config {
    char *path;   /* the fetchrc */
    char **files; /* it and what it includes, in the order of reading */
    size_t file_count;
    pthread_mutex_t *gate;
    unsigned jobs;
    unsigned jobs_per_host;
    unsigned timeout;       /* seconds */
    unsigned final_timeout; /* seconds */
    int64_t forget_after;   /* seconds */
    char *state_dir;
    unsigned report_after; /* runs */
    int64_t stale_after;   /* seconds */
    char *metrics_file;
    struct config_destination *destinations; /* the default one ("local") is here when none is written */
    size_t destination_count;
    struct config_account *accounts;
    size_t account_count;
    struct config_oauth *oauths;
    size_t oauth_count;
};

void config_free(struct config *config);

/* By title; NULL if there is none. */
const struct config_account *config_find_account(const struct config *config, const char *title);
const struct config_destination *config_find_destination(const struct config *config, const char *title);

#endif
