/* mpop's configuration and UID lists. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/import_private.h"

#define VALUES_MAX 64

/* A command and its argument; they stand in the file's text. */
struct value {
    const char *command;
    const char *argument;
};

struct section {
    const char *name; /* NULL: the defaults */
    struct value values[VALUES_MAX];
    size_t count;
};

struct file {
    struct import *import;
    struct section *sections; /* the first holds the defaults */
    size_t count;
};

static struct section *add_section(struct file *file, const char *name)
{
    struct section *grown = realloc(file->sections, (file->count + 1) * sizeof(*grown));

    if (grown == NULL) {
        file->import->broken = true;
        return NULL;
    }
    file->sections = grown;
    grown[file->count] = (struct section){.name = name};
    return &grown[file->count++];
}

/* A later one replaces an earlier one. */
static void set(struct file *file, struct section *section, const char *command, const char *argument)
{
    size_t i;

    for (i = 0; i < section->count; i++)
        if (strcmp(section->values[i].command, command) == 0)
            break;
    if (i == VALUES_MAX) {
        import_note(file->import, NULL, "too many commands: %s was left out", command);
        return;
    }
    section->values[i] = (struct value){command, argument};
    section->count += i == section->count;
}

static const char *get(const struct section *section, const char *command)
{
    size_t i;

    for (i = 0; i < section->count; i++)
        if (strcmp(section->values[i].command, command) == 0)
            return section->values[i].argument;
    return NULL;
}

static bool is_on(const char *argument)
{
    return argument != NULL && (*argument == '\0' || strcmp(argument, "on") == 0);
}

static bool is_off(const char *argument)
{
    return argument != NULL && strcmp(argument, "off") == 0;
}

static void inherit(struct file *file, struct section *section, const char *name)
{
    size_t i;
    size_t v;

    for (i = 1; i + 1 < file->count; i++)
        if (strcmp(file->sections[i].name, name) == 0)
            for (v = 0; v < file->sections[i].count; v++)
                set(file, section, file->sections[i].values[v].command, file->sections[i].values[v].argument);
}

/* "NAME [: PARENT[, PARENT...]]" */
static struct section *begin_account(struct file *file, char *argument)
{
    char *parents = strchr(argument, ':');
    struct section *section;
    char *name;

    if (parents != NULL)
        *parents++ = '\0';
    argument[strcspn(argument, " \t")] = '\0';
    section = add_section(file, argument);
    if (section == NULL)
        return NULL;
    section->count = file->sections[0].count;
    memcpy(section->values, file->sections[0].values, sizeof(section->values));
    while (parents != NULL && (name = strsep(&parents, ", \t")) != NULL)
        if (*name != '\0')
            inherit(file, section, name);
    return section;
}

/* Trim, and take off the double quotes around an argument. */
static char *bare(char *text)
{
    size_t len;

    text = import_trim(text);
    len = strlen(text);
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
        text[len - 1] = '\0';
        text++;
    }
    return text;
}

static void put_port(struct import *import, const struct section *section, struct import_account *account)
{
    const char *port = get(section, "port");
    const char *tls = get(section, "tls");

    account->tls = !is_on(tls)                            ? TLS_NONE
                   : is_off(get(section, "tls_starttls")) ? TLS_IMPLICIT
                                                          : TLS_STARTTLS;
    if (port != NULL && !import_port(account, port) && strcmp(port, "pop3") != 0 &&
        strcmp(port, "pop3s") != 0)
        import_note(import, account, "port %s: write its number", port);
}

static void put_file(struct import *import, struct import_account *account, const char *name,
                     const char *path)
{
    char *full = path != NULL && *path != '\0' ? import_path(import, path) : NULL;

    import_text(import, &account->options, name, full);
    free(full);
}

static void put_tls(struct import *import, const struct section *section, struct import_account *account)
{
    const char *trust = get(section, "tls_trust_file");

    if (account->tls == TLS_NONE)
        return;
    if (trust != NULL && strcmp(trust, "system") != 0)
        put_file(import, account, "tls_ca_file", trust);
    if (get(section, "tls_fingerprint") != NULL && get(section, "tls_fingerprint")[0] != '\0')
        import_fingerprint(import, account, get(section, "tls_fingerprint"));
    put_file(import, account, "tls_cert_file", get(section, "tls_cert_file"));
    put_file(import, account, "tls_key_file", get(section, "tls_key_file"));
    if (is_off(get(section, "tls_certcheck")))
        import_note(import, account,
                    "tls_certcheck off: popferry always checks certificates; `popferry check %s` shows the "
                    "tls_fingerprint of one that no CA signed",
                    account->title);
}

static void put_login(struct import *import, const struct section *section, struct import_account *account)
{
    static const char *const same[] = {"user",  "apop",     "plain",       "cram-md5",
                                       "login", "external", "oauthbearer", "xoauth2"};
    const char *auth = get(section, "auth");
    const char *command = get(section, "passwordeval");
    bool bearer = auth != NULL && (strcmp(auth, "oauthbearer") == 0 || strcmp(auth, "xoauth2") == 0);
    bool known = auth == NULL || *auth == '\0' || strcmp(auth, "on") == 0;
    size_t i;

    for (i = 0; i < sizeof(same) / sizeof(same[0]) && !known; i++) {
        if (strcmp(auth, same[i]) == 0) {
            import_text(import, &account->options, "auth", auth);
            known = true;
        }
    }
    if (!known)
        import_note(import, account, "auth %s has no counterpart", auth);
    if (get(section, "password") != NULL) {
        import_text(import, &account->options, "password", get(section, "password"));
        account->has_password = true;
    } else if (command != NULL) {
        import_text(import, &account->options, bearer ? "token_command" : "password_command", command);
    } else {
        import_note(import, account,
                    "no password here: mpop asked for it, or took it from a key ring or ~/.netrc;");
        import_note(import, account,
                    "perhaps password_command = \"secret-tool lookup host %s service pop3 user %s\"",
                    account->host != NULL ? account->host : "HOST",
                    account->user != NULL ? account->user : "USER");
    }
}

static void put_proxy(struct import *import, const struct section *section, struct import_account *account)
{
    const char *host = get(section, "proxy_host");
    const char *port = get(section, "proxy_port");
    char proxy[512];

    if (host == NULL || *host == '\0')
        return;
    (void)snprintf(proxy, sizeof(proxy), "socks5h://%s:%s", host,
                   port != NULL && *port != '\0' ? port : "1080");
    import_text(import, &account->options, "proxy", proxy);
}

/* Everything else: without a counterpart unless it is known to mean nothing here. */
static void put_notes(struct import *import, const struct section *section, struct import_account *account)
{
    static const char *const done[] = {
        "host",          "port",         "user",           "password",        "passwordeval",  "auth",
        "tls",           "tls_starttls", "tls_trust_file", "tls_fingerprint", "tls_cert_file", "tls_key_file",
        "tls_certcheck", "keep",         "skipsize",       "pipelining",      "uidls_file",    "proxy_host",
        "proxy_port",    "timeout",      "delivery"};
    size_t i;
    size_t d;

    for (i = 0; i < section->count; i++) {
        for (d = 0; d < sizeof(done) / sizeof(done[0]); d++)
            if (strcmp(section->values[i].command, done[d]) == 0)
                break;
        if (d == sizeof(done) / sizeof(done[0]))
            import_note(import, account, "no counterpart: %s %s", section->values[i].command,
                        section->values[i].argument);
    }
    if (get(section, "delivery") != NULL)
        import_note(import, account,
                    "delivery %s has no counterpart: mail goes to the SMTP server of this host",
                    get(section, "delivery"));
    if (get(section, "timeout") != NULL)
        import_note(import, account, "timeout %s: popferry has one for all, at the top of the fetchrc",
                    get(section, "timeout"));
}

/* "~/.mpop_uidls/%U_at_%H" with user and host put in. */
static void take_uids(struct import *import, const struct section *section, struct import_account *account)
{
    const char *pattern = get(section, "uidls_file");
    struct buf path;
    char *full;

    full = import_path(import, pattern != NULL ? pattern : "~/.mpop_uidls/%U_at_%H");
    buf_init(&path, 8192);
    for (pattern = full; pattern != NULL && *pattern != '\0'; pattern++) {
        if (pattern[0] == '%' && (pattern[1] == 'U' || pattern[1] == 'H'))
            import_print(import, &path, "%s", *++pattern == 'U' ? account->user : account->host);
        else
            import_print(import, &path, "%c", *pattern);
    }
    if (path.len > 0)
        import_mpop_uids(import, account, path.data);
    buf_free(&path);
    free(full);
}

/* "10m": kibi- and mebibytes, as mpop means them. Zero would leave every mail where it is. */
static void put_skipsize(struct import *import, const char *size, struct import_account *account)
{
    unsigned long octets;
    char *end;
    unsigned shift;

    if (size == NULL || *size == '\0' || is_off(size))
        return;
    errno = 0;
    octets = strtoul(size, &end, 10);
    shift = *end == 'k' ? 10 : *end == 'm' ? 20 : 0;
    if (!isdigit((unsigned char)*size) || end[shift > 0 ? 1 : 0] != '\0' || errno != 0 || octets == 0 ||
        octets > (ULONG_MAX >> 1) >> shift)
        import_note(import, account, "no counterpart: skipsize %s", size);
    else
        import_number(import, &account->options, "max_size", octets << shift);
}

static void put_account(struct import *import, const struct section *section)
{
    struct import_account *account =
        import_account(import, section->name, get(section, "host"), get(section, "user"));
    const char *pipelining = get(section, "pipelining");

    if (account == NULL)
        return;
    put_port(import, section, account);
    put_tls(import, section, account);
    put_login(import, section, account);
    import_self(import, account);
    import_keep(import, account, is_on(get(section, "keep")));
    put_skipsize(import, get(section, "skipsize"), account);
    if (pipelining != NULL && (strcmp(pipelining, "on") == 0 || strcmp(pipelining, "off") == 0))
        import_text(import, &account->options, "pipelining", pipelining);
    put_proxy(import, section, account);
    put_notes(import, section, account);
    if (account->host == NULL || account->user == NULL) {
        import_note(import, account, "host or user is missing");
        account->dropped = true;
        return;
    }
    take_uids(import, section, account);
}

void import_mpop(struct import *import, const char *path, char *text)
{
    struct file file = {.import = import};
    struct section *section = add_section(&file, "");
    char *line;
    size_t i;

    (void)path;
    while (section != NULL && (line = strsep(&text, "\n")) != NULL) {
        size_t len;
        char *argument;

        line = bare(line);
        if (*line == '\0' || *line == '#')
            continue;
        len = strcspn(line, " \t");
        argument = line + len;
        if (*argument != '\0')
            *argument++ = '\0';
        argument = bare(argument);
        if (strcmp(line, "account") == 0)
            section = begin_account(&file, argument);
        else if (strcmp(line, "defaults") == 0)
            section = &file.sections[0];
        else if (strcmp(line, "eval") == 0)
            import_note(import, NULL, "not evaluated: eval %s", argument);
        else
            set(&file, section, line, argument);
    }
    for (i = 1; i < file.count; i++)
        put_account(import, &file.sections[i]);
    free(file.sections);
}
