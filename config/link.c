/* All sections together: titles become pointers, and nothing may stand twice. Sorted look-ups, since a
 * fleet's fetchrc has thousands of accounts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/loading.h"
#include "config/providers.h"
#include "config/secret.h"

struct key {
    const char *text;
    size_t index;
};

struct keys {
    struct key *items;
    size_t count;
};

static int by_text(const void *a, const void *b)
{
    const struct key *left = a;
    const struct key *right = b;
    int order = strcmp(left->text, right->text);

    if (order != 0)
        return order;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* An empty set of at most `count` keys. */
static struct keys keys_new(struct loading *loading, size_t count)
{
    struct keys keys = {.items = calloc(count + 1, sizeof(*keys.items))};

    if (keys.items == NULL)
        loading->out_of_memory = true;
    return keys;
}

static void keys_add(struct keys *keys, const char *text, size_t index)
{
    if (keys->items != NULL && text != NULL)
        keys->items[keys->count++] = (struct key){text, index};
}

static void keys_sort(struct keys *keys)
{
    if (keys->count > 1)
        qsort(keys->items, keys->count, sizeof(*keys->items), by_text);
}

/* The index that belongs to the text, or -1. */
static long keys_find(const struct keys *keys, const char *text)
{
    size_t low = 0;
    size_t high = keys->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(keys->items[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < keys->count && strcmp(keys->items[low].text, text) == 0 ? (long)keys->items[low].index : -1;
}

/* Tell of each key that stands a second time. what: "account", or "mailbox". */
static void note_duplicates(struct loading *loading, const struct keys *keys, const struct written *written,
                            const char *what, const char *right)
{
    char quote[QUOTED_MAX];
    size_t first = 0;
    size_t i;

    for (i = 1; i < keys->count; i++) {
        const char *text = keys->items[i].text;
        const struct written *here = &written[keys->items[i].index];
        const struct written *there = &written[keys->items[first].index];
        if (strcmp(keys->items[first].text, text) != 0)
            first = i;
        else
            mistake_note(loading, here->file, here->line, "%s %s stands already in %s:%d; %s", what,
                         mistake_quote(quote, text, strlen(text)), loading->config->files[there->file],
                         there->line, right);
    }
}

/* The one that is there when none is written. */
static void add_local(struct loading *loading)
{
    struct config *config = loading->config;

    if (config->destination_count > 0)
        return;
    if (take_section(loading, SECTION_DESTINATION, "local") == 0)
        take_section_end(loading);
}

static struct keys index_destinations(struct loading *loading)
{
    struct config *config = loading->config;
    struct keys keys = keys_new(loading, config->destination_count);
    size_t i;

    for (i = 0; i < config->destination_count; i++)
        keys_add(&keys, config->destinations[i].peer.title, i);
    keys_sort(&keys);
    note_duplicates(loading, &keys, loading->destinations, "destination", "another title is right");
    return keys;
}

static struct keys index_oauths(struct loading *loading)
{
    struct config *config = loading->config;
    struct keys keys = keys_new(loading, config->oauth_count);
    size_t i;

    for (i = 0; i < config->oauth_count; i++)
        keys_add(&keys, config->oauths[i].title, i);
    keys_sort(&keys);
    note_duplicates(loading, &keys, loading->oauths, "oauth", "another title is right");
    return keys;
}

static void check_duplicates(struct loading *loading)
{
    struct config *config = loading->config;
    struct keys titles = keys_new(loading, config->account_count);
    struct keys identities = keys_new(loading, config->account_count);
    size_t i;

    for (i = 0; i < config->account_count; i++) {
        keys_add(&titles, config->accounts[i].peer.title, i);
        keys_add(&identities, config->accounts[i].identity, i);
    }
    keys_sort(&titles);
    keys_sort(&identities);
    note_duplicates(loading, &titles, loading->accounts, "account", "another title is right");
    note_duplicates(loading, &identities, loading->accounts, "mailbox", "one account a mailbox is right");
    free(titles.items);
    free(identities.items);
}

static void link_destination(struct loading *loading, struct config_account *account,
                             const struct written *written, const struct keys *keys)
{
    struct config *config = loading->config;
    const char *title = written->destination == NULL ? "local" : written->destination;
    long found = keys_find(keys, title);
    char quote[QUOTED_MAX];

    if (found >= 0)
        account->destination = &config->destinations[found];
    else if (written->destination == NULL && config->destination_count == 1)
        account->destination = &config->destinations[0];
    else if (written->destination == NULL)
        mistake_note(
            loading, written->file, check_line_of(written, SECTION_ACCOUNT, "destination"),
            "the account names no destination, and of several written ones none is called \"local\"");
    else
        mistake_note(loading, written->file, check_line_of(written, SECTION_ACCOUNT, "destination"),
                     "unknown destination %s; write a section destination %s { ... }, or the title of one "
                     "that is there",
                     mistake_quote(quote, title, strlen(title)), quote);
}

static const struct provider *provider_of(const struct config_account *account)
{
    return account->provider == NULL ? NULL : provider_find(account->provider);
}

static void link_oauth(struct loading *loading, struct config_account *account, const struct written *written,
                       const struct keys *keys)
{
    const struct provider *provider = provider_of(account);
    bool has_login = secret_is_set(&account->peer.secret) || account->token_command != NULL;
    const char *title = written->oauth;
    long found;
    char quote[QUOTED_MAX];

    if (provider != NULL && provider->token_endpoint == NULL)
        provider = NULL;
    if (title == NULL && provider != NULL && !has_login)
        title = provider->name;
    found = title == NULL ? -1 : keys_find(keys, title);
    if (found >= 0) {
        account->oauth = &loading->config->oauths[found];
        if (provider != NULL)
            check_oauth_fill(loading, &loading->config->oauths[found], provider);
    } else if (written->oauth != NULL) {
        mistake_note(
            loading, written->file, check_line_of(written, SECTION_ACCOUNT, "oauth"),
            "unknown oauth section %s; write a section oauth %s { ... }, or the title of one that is there",
            mistake_quote(quote, title, strlen(title)), quote);
    }
}

/* Any way at all to log in? What was written wrongly has been told already. */
static bool has_secret(const struct config_account *account, const struct written *written)
{
    static const char *const sources[] = {"password",   "password_file", "password_command",
                                          "credential", "token_command", "oauth"};
    size_t i;

    if (account->oauth != NULL || account->peer.auth == AUTH_EXTERNAL)
        return true;
    for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (check_is_written(written, SECTION_ACCOUNT, sources[i]))
            return true;
    }
    return false;
}

static void check_secret(struct loading *loading, const struct config_account *account,
                         const struct written *written)
{
    const struct provider *provider = provider_of(account);

    if (!account->enabled || has_secret(account, written))
        return;
    if (provider != NULL && provider->token_endpoint != NULL)
        mistake_note(loading, written->file, written->line,
                     "the account has no password and no token: %s; write password_command, password_file, "
                     "credential or password, "
                     "or a section oauth \"%s\" with client_id",
                     provider->hint, provider->name);
    else if (account->peer.auth == AUTH_OAUTHBEARER || account->peer.auth == AUTH_XOAUTH2)
        mistake_note(loading, written->file, check_line_of(written, SECTION_ACCOUNT, "auth"),
                     "the account has no token; write oauth, token_command, or password_command");
    else
        mistake_note(
            loading, written->file, written->line,
            "the account has no password; write password_command, password_file, credential or password");
}

static void check_oauths(struct loading *loading)
{
    struct config *config = loading->config;
    size_t i;

    for (i = 0; i < config->oauth_count; i++) {
        const struct written *written = &loading->oauths[i];
        if (config->oauths[i].token_endpoint == NULL &&
            !check_is_written(written, SECTION_OAUTH, "token_endpoint"))
            mistake_note(loading, written->file, written->line,
                         "the oauth section has no token_endpoint; write it, or call the section \"gmail\" "
                         "or \"outlook\"");
        if (!check_is_written(written, SECTION_OAUTH, "client_id"))
            mistake_note(loading, written->file, written->line,
                         "the oauth section has no client_id; write the one that the provider gave you");
    }
}

void link_sections(struct loading *loading)
{
    struct config *config = loading->config;
    struct keys destinations;
    struct keys oauths;
    size_t i;

    add_local(loading);
    destinations = index_destinations(loading);
    oauths = index_oauths(loading);
    check_duplicates(loading);
    for (i = 0; i < config->account_count; i++) {
        struct config_account *account = &config->accounts[i];
        account->peer.secret.gate = config->gate;
        link_destination(loading, account, &loading->accounts[i], &destinations);
        link_oauth(loading, account, &loading->accounts[i], &oauths);
        check_secret(loading, account, &loading->accounts[i]);
    }
    for (i = 0; i < config->destination_count; i++)
        config->destinations[i].peer.secret.gate = config->gate;
    check_oauths(loading);
    free(destinations.items);
    free(oauths.items);
}
