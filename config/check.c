/* Each section as a whole: what was not written is filled in, what does not go together is a mistake. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "config/loading.h"
#include "config/providers.h"
#include "config/secret.h"
#include "config/values.h"

int check_line_of(const struct written *written, enum option_section section, const char *name)
{
    int row = option_find(section, name, strlen(name));

    return row >= 0 && written->at[row] != 0 ? written->at[row] : written->line;
}

bool check_is_written(const struct written *written, enum option_section section, const char *name)
{
    int row = option_find(section, name, strlen(name));

    return row >= 0 && written->at[row] != 0;
}

/* A section under the checks below. */
struct check {
    struct loading *loading;
    enum option_section section;
    const struct written *written;
};

#define note(check, option, ...)                                                                             \
    mistake_note((check)->loading, (check)->written->file,                                                   \
                 check_line_of((check)->written, (check)->section, option), __VA_ARGS__)

static bool wrote(const struct check *check, const char *option)
{
    return check_is_written(check->written, check->section, option);
}

/* Set what is not set. A copy that fails is told by config_load(). */
static void fill(struct loading *loading, char **place, const char *text)
{
    if (*place != NULL || text == NULL)
        return;
    *place = strdup(text);
    if (*place == NULL)
        loading->out_of_memory = true;
}

static void check_secret_sources(const struct check *check)
{
    static const char *const sources[] = {"password", "password_file", "password_command", "credential",
                                          "token_command"};
    const char *first = NULL;
    size_t i;

    for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (!wrote(check, sources[i]))
            continue;
        if (first != NULL)
            note(check, sources[i], "%s and %s are both written; one of them is right", first, sources[i]);
        else
            first = sources[i];
    }
}

static void check_peer(const struct check *check, const struct config_peer *peer)
{
    static const char *const needs_tls[] = {"tls_ca_file", "tls_fingerprint", "tls_cert_file",
                                            "tls_key_file"};
    size_t i;

    check_secret_sources(check);
    for (i = 0; peer->tls == TLS_NONE && i < sizeof(needs_tls) / sizeof(needs_tls[0]); i++) {
        if (wrote(check, needs_tls[i]))
            note(check, needs_tls[i], "%s does nothing with tls = \"none\"; starttls or implicit is right",
                 needs_tls[i]);
    }
    if (wrote(check, "tls_key_file") && !wrote(check, "tls_cert_file"))
        note(check, "tls_key_file", "tls_key_file needs tls_cert_file, the certificate that it belongs to");
}

/* LMTP here is a plain stream to a server nearby (RFC 2033): it offers neither TLS nor a login. */
static void check_lmtp(const struct check *check)
{
    static const char *const not_with_lmtp[] = {
        "tls_ca_file",   "tls_fingerprint",  "tls_cert_file", "tls_key_file", "username", "password",
        "password_file", "password_command", "credential",    "auth",         "tls",
    };
    size_t i;

    for (i = 0; i < sizeof(not_with_lmtp) / sizeof(not_with_lmtp[0]); i++) {
        if (wrote(check, not_with_lmtp[i]))
            note(check, not_with_lmtp[i],
                 "%s cannot go with protocol = \"lmtp\", which has neither TLS nor a login; leave it out",
                 not_with_lmtp[i]);
    }
}

static void check_destination_login(const struct check *check, const struct config_peer *peer)
{
    bool secret = wrote(check, "password") || wrote(check, "password_file") ||
                  wrote(check, "password_command") || wrote(check, "credential");

    if (peer->auth == AUTH_APOP || peer->auth == AUTH_USER)
        note(check, "auth",
             "auth = \"%s\" is a POP3 login; for a destination plain, login or cram-md5 is right",
             option_word_name(option_auth_words, peer->auth));
    if (secret && !wrote(check, "username"))
        note(check, "", "the destination has a password, but no username; write username = \"NAME\"");
    if (wrote(check, "auth") && peer->auth != AUTH_AUTO && peer->auth != AUTH_EXTERNAL &&
        !wrote(check, "username"))
        note(check, "auth", "auth needs username = \"NAME\"");
    if (wrote(check, "username") && !secret && peer->auth != AUTH_EXTERNAL)
        note(check, "username",
             "the username has no password; write password_command, password_file, credential or password");
}

/* An IP address stands as an address literal in EHLO (RFC 5321 section 4.1.3). */
static void fill_literal(struct loading *loading, struct config_destination *destination, const char *form)
{
    char literal[INET6_ADDRSTRLEN + sizeof("[IPv6:]")];

    (void)snprintf(literal, sizeof(literal), form, destination->helo);
    free(destination->helo);
    destination->helo = NULL;
    fill(loading, &destination->helo, literal);
}

/* No look-up: DNS may be slow, or gone, while a fetchrc is read. */
static void fill_helo(struct loading *loading, struct config_destination *destination)
{
    struct utsname here;
    struct in6_addr address;

    if (destination->helo != NULL && inet_pton(AF_INET, destination->helo, &address) == 1)
        fill_literal(loading, destination, "[%s]");
    else if (destination->helo != NULL && inet_pton(AF_INET6, destination->helo, &address) == 1)
        fill_literal(loading, destination, "[IPv6:%s]");

    if (uname(&here) == 0 && value_host(here.nodename) == NULL)
        fill(loading, &destination->helo, here.nodename);
    else
        fill(loading, &destination->helo, "localhost");
}

void check_destination(struct loading *loading, struct config_destination *destination,
                       const struct written *written)
{
    struct check check = {loading, SECTION_DESTINATION, written};
    bool lmtp = destination->protocol == CONFIG_LMTP;

    if (destination->socket == NULL)
        fill(loading, &destination->peer.host, "localhost");
    if (destination->peer.port == 0)
        destination->peer.port = lmtp ? 24 : 25;
    fill_helo(loading, destination);
    if (wrote(&check, "socket") && !lmtp)
        note(&check, "socket", "socket goes with protocol = \"lmtp\" only; for SMTP host and port are right");
    if (wrote(&check, "socket") && (wrote(&check, "host") || wrote(&check, "port")))
        note(&check, "socket", "socket stands beside host or port; one of them is right");
    if (lmtp) {
        check_lmtp(&check);
        if (destination->recipient_domain != NULL && strcmp(destination->recipient_domain, "localhost") != 0)
            note(&check, "recipient_domain",
                 "recipient_domain does nothing with protocol = \"lmtp\", which takes bare names; leave it "
                 "out");
        return;
    }
    check_peer(&check, &destination->peer);
    check_destination_login(&check, &destination->peer);
}

void check_oauth(struct loading *loading, struct config_oauth *oauth, const struct written *written)
{
    const struct provider *provider = provider_find(oauth->title);

    (void)written;
    if (provider != NULL && provider->token_endpoint != NULL)
        check_oauth_fill(loading, oauth, provider);
}

void check_oauth_fill(struct loading *loading, struct config_oauth *oauth, const struct provider *provider)
{
    /* Endpoints belong together: those of another server than the one that is written would be wrong. */
    if (oauth->token_endpoint == NULL) {
        fill(loading, &oauth->token_endpoint, provider->token_endpoint);
        fill(loading, &oauth->device_endpoint, provider->device_endpoint);
        fill(loading, &oauth->authorization_endpoint, provider->authorization_endpoint);
    }
    fill(loading, &oauth->scope, provider->scope);
}

static void apply_provider(const struct check *check, struct config_account *account)
{
    const struct provider *provider = provider_find(account->provider);
    char quote[QUOTED_MAX];

    (void)mistake_quote(quote, account->provider, strlen(account->provider));
    if (provider == NULL) {
        const char *nearest = provider_nearest(account->provider);
        if (nearest != NULL)
            note(check, "provider",
                 "unknown provider %s; the nearest known one is \"%s\"; for others write host", quote,
                 nearest);
        else
            note(check, "provider",
                 "unknown provider %s; fetchrc(5) names the known ones, for others write host", quote);
        return;
    }
    if (provider->host == NULL) {
        note(check, "provider", "provider = %s has no POP3: %s", quote, provider->hint);
        return;
    }
    account->provider_hint = provider->hint;
    fill(check->loading, &account->peer.host, provider->host);
    if (!wrote(check, "tls"))
        account->peer.tls = provider->tls;
    if (account->peer.port == 0 && account->peer.tls == provider->tls)
        account->peer.port = provider->port;
    if (!wrote(check, "auth"))
        account->peer.auth = provider->auth;
}

static void make_identity(struct loading *loading, struct config_account *account)
{
    const struct config_peer *peer = &account->peer;
    bool bare = peer->port == 110 || peer->port == 995;
    bool literal = strchr(peer->host, ':') != NULL && !bare;
    char port[16] = "";
    char *host;

    if (!bare)
        (void)snprintf(port, sizeof(port), ":%u", peer->port);
    if (asprintf(&account->identity, "%s@%s%s%s%s", peer->username, literal ? "[" : "", peer->host,
                 literal ? "]" : "", port) < 0) {
        account->identity = NULL;
        loading->out_of_memory = true;
        return;
    }
    for (host = account->identity + strlen(peer->username); *host != '\0'; host++)
        *host = (char)tolower((unsigned char)*host);
}

static void check_identity(const struct check *check, struct config_account *account)
{
    bool known = account->peer.host != NULL;

    if (account->peer.port == 0)
        account->peer.port = account->peer.tls == TLS_IMPLICIT ? 995 : 110;
    if (!known && !wrote(check, "host") && !wrote(check, "provider"))
        note(check, "", "the account has no host; write host = \"pop.example.org\", or provider");
    if (account->peer.username == NULL && !wrote(check, "username"))
        note(check, "", "the account has no username; write username = \"NAME\"");
    if (known && account->peer.username != NULL)
        make_identity(check->loading, account);
}

static void check_mechanism(const struct check *check, const struct config_peer *peer)
{
    bool token = wrote(check, "token_command") || wrote(check, "oauth");

    if (wrote(check, "token_command") && wrote(check, "oauth"))
        note(check, "token_command", "oauth and token_command are both written; one of them is right");
    if (token && peer->auth != AUTH_AUTO && peer->auth != AUTH_OAUTHBEARER && peer->auth != AUTH_XOAUTH2)
        note(check, "auth",
             "auth = \"%s\" cannot log in with an OAuth2 token; auto, oauthbearer or xoauth2 is right",
             option_word_name(option_auth_words, peer->auth));
}

static int by_address(const void *a, const void *b)
{
    return strcasecmp(*(char *const *)a, *(char *const *)b);
}

/* Two rules for one address. */
static void check_map(const struct check *check, const struct config_account *account)
{
    char **from = reallocarray(NULL, account->map_count, sizeof(*from));
    char quote[QUOTED_MAX];
    size_t i;

    if (from == NULL) {
        check->loading->out_of_memory = true;
        return;
    }
    for (i = 0; i < account->map_count; i++)
        from[i] = account->map[i].from;
    qsort(from, account->map_count, sizeof(*from), by_address);
    for (i = 1; i < account->map_count; i++) {
        if (strcasecmp(from[i - 1], from[i]) == 0)
            note(check, "map", "map has two rules for %s; one is right",
                 mistake_quote(quote, from[i], strlen(from[i])));
    }
    free(from);
}

static void check_multidrop(const struct check *check, const struct config_account *account)
{
    bool fallback = wrote(check, "recipients");
    size_t i;

    for (i = 0; i < account->map_count && !fallback; i++)
        fallback = strcmp(account->map[i].from, "*") == 0;
    if (wrote(check, "map") && !wrote(check, "envelope_header"))
        note(check, "map", "map needs envelope_header, such as {\"Delivered-To\", \"X-Original-To\"}");
    if (wrote(check, "envelope_header") && !fallback)
        note(check, "envelope_header",
             "envelope_header needs recipients, who get what no rule of map covers, or a rule \"*=NAME\"");
    if (account->map_count > 1)
        check_map(check, account);
}

static void check_recipients(const struct check *check, struct config_account *account)
{
    struct config_list *recipients = &account->recipients;

    if (wrote(check, "recipients") || wrote(check, "envelope_header"))
        return;
    if (check->loading->user == NULL) {
        note(check, "", "the account has no recipients; %s must name them: recipients = {\"thomas\"}",
             geteuid() == 0 ? "root" : "a user who is no person");
        return;
    }
    recipients->items = calloc(1, sizeof(*recipients->items));
    if (recipients->items == NULL || (recipients->items[0] = strdup(check->loading->user)) == NULL)
        check->loading->out_of_memory = true;
    else
        recipients->count = 1;
}

/* Options that do nothing without another, or against it. What was written out, though it is the default, is
 * somebody's choice. */
static void check_pairs(const struct check *check, struct config_account *account)
{
    if (account->on_reject == CONFIG_REJECT_FORWARD && !wrote(check, "reject_recipient"))
        note(check, "on_reject", "on_reject = \"forward\" needs reject_recipient, such as \"postmaster\"");
    if (wrote(check, "reject_recipient") && !wrote(check, "on_reject"))
        note(check, "reject_recipient", "reject_recipient does nothing without on_reject = \"forward\"");
    if (wrote(check, "keep") && !account->keep && account->keep_days != 0)
        note(check, "keep", "keep = false and keep_days contradict each other; one of them is right");
    if (account->keep_days != 0)
        account->keep = true;
}

void check_account(struct loading *loading, struct config_account *account, const struct written *written)
{
    struct check check = {loading, SECTION_ACCOUNT, written};

    if (account->provider != NULL)
        apply_provider(&check, account);
    check_identity(&check, account);
    check_peer(&check, &account->peer);
    check_mechanism(&check, &account->peer);
    check_recipients(&check, account);
    check_multidrop(&check, account);
    check_pairs(&check, account);
}
