/* Lines of a fetchrc to be. */
#include <ctype.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/import_private.h"

#define TEXT_MAX (1024 * 1024)
#define LINE_MAX_OCTETS 16384
#define VALUE_MAX 8192

void import_init(struct import *import)
{
    const struct passwd *self = geteuid() == 0 ? getpwuid(0) : NULL;
    const char *home = getenv("HOME");

    *import = (struct import){0};
    if (self != NULL)
        (void)snprintf(import->self, sizeof(import->self), "%s", self->pw_name);
    buf_init(&import->notes, TEXT_MAX);
    import->home = import_copy(import, home != NULL ? home : "/");
}

static void free_account(struct import_account *account)
{
    size_t i;

    for (i = 0; i < account->uid_count; i++)
        free(account->uids[i]);
    free(account->uids);
    free(account->title);
    free(account->host);
    free(account->user);
    buf_free(&account->options);
    buf_free(&account->notes);
}

void import_free(struct import *import)
{
    size_t i;

    for (i = 0; i < import->account_count; i++)
        free_account(&import->accounts[i]);
    for (i = 0; i < import->destination_count; i++) {
        free(import->destinations[i].title);
        buf_free(&import->destinations[i].options);
    }
    free(import->accounts);
    free(import->destinations);
    free(import->home);
    buf_free(&import->notes);
}

char *import_copy(struct import *import, const char *text)
{
    char *copy = text == NULL ? NULL : strdup(text);

    import->broken = import->broken || (text != NULL && copy == NULL);
    return copy;
}

void import_print(struct import *import, struct buf *out, const char *fmt, ...)
{
    char line[LINE_MAX_OCTETS];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(line) || buf_append(out, line, (size_t)len) < 0)
        import->broken = true;
}

bool import_port(struct import_account *account, const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || port == 0 || port > 65535)
        return false;
    account->port = (unsigned)port;
    return true;
}

char *import_trim(char *text)
{
    size_t len;

    text += strspn(text, " \t\r");
    len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    return text;
}

static bool title_taken(const struct import *import, const char *title)
{
    size_t i;

    for (i = 0; i < import->account_count; i++)
        if (import->accounts[i].title != NULL && strcmp(import->accounts[i].title, title) == 0)
            return true;
    return false;
}

/* A title of plain characters that no other account has. */
static void make_title(const struct import *import, const char *wish, char *title, size_t size)
{
    char base[100];
    unsigned n;
    size_t i;

    for (i = 0; wish[i] != '\0' && i + 1 < sizeof(base); i++)
        base[i] = (char)(isalnum((unsigned char)wish[i]) || strchr("@._-", wish[i]) != NULL ? wish[i] : '_');
    base[i] = '\0';
    (void)snprintf(title, size, "%s", base);
    for (n = 2; title_taken(import, title); n++)
        (void)snprintf(title, size, "%s-%u", base, n);
}

struct import_account *import_account(struct import *import, const char *title, const char *host,
                                      const char *user)
{
    struct import_account *grown = realloc(import->accounts, (import->account_count + 1) * sizeof(*grown));
    struct import_account *account;
    char made[128];

    if (grown == NULL) {
        import->broken = true;
        return NULL;
    }
    import->accounts = grown;
    account = &grown[import->account_count];
    *account = (struct import_account){0};
    buf_init(&account->options, TEXT_MAX);
    buf_init(&account->notes, TEXT_MAX);
    make_title(import, title != NULL && *title != '\0' ? title : "account", made, sizeof(made));
    account->title = import_copy(import, made);
    account->host = import_copy(import, host);
    account->user = import_copy(import, user);
    import->account_count++;
    return account;
}

const char *import_destination(struct import *import, const char *options)
{
    struct import_destination *grown;
    struct import_destination *made;
    char title[32] = "local";
    size_t i;

    for (i = 0; i < import->destination_count; i++)
        if (strcmp(import->destinations[i].options.data, options) == 0)
            return import->destinations[i].title;
    grown = realloc(import->destinations, (import->destination_count + 1) * sizeof(*grown));
    if (grown == NULL) {
        import->broken = true;
        return "local";
    }
    import->destinations = grown;
    made = &grown[import->destination_count];
    if (import->destination_count > 0)
        (void)snprintf(title, sizeof(title), "local-%zu", import->destination_count + 1);
    made->title = import_copy(import, title);
    buf_init(&made->options, TEXT_MAX);
    import_print(import, &made->options, "%s", options);
    import->destination_count++;
    return made->title;
}

/* A string of the fetchrc: in double quotes where nothing in it means anything there, else in single ones. */
static int put_quoted(struct buf *out, const char *value)
{
    static const char special[] = "\"\\$'";
    const char *p;

    for (p = value; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            return -1;
    if (strpbrk(value, special) == NULL)
        return buf_printf(out, "\"%s\"", value);
    if (buf_puts(out, "'") < 0)
        return -1;
    for (p = value; *p != '\0'; p++)
        if (((*p == '\'' || *p == '\\') && buf_puts(out, "\\") < 0) || buf_append(out, p, 1) < 0)
            return -1;
    return buf_puts(out, "'");
}

void import_text(struct import *import, struct buf *lines, const char *name, const char *value)
{
    struct buf line;

    if (value == NULL)
        return;
    buf_init(&line, VALUE_MAX);
    if (put_quoted(&line, value) == 0)
        import_print(import, lines, "    %s = %s\n", name, line.data);
    else
        import_print(import, lines,
                     "    # %s: a fetchrc cannot hold this value (control characters, or too long)\n", name);
    buf_free(&line);
}

void import_number(struct import *import, struct buf *lines, const char *name, unsigned long value)
{
    import_print(import, lines, "    %s = %lu\n", name, value);
}

void import_word(struct import *import, struct buf *lines, const char *name, const char *value)
{
    import_print(import, lines, "    %s = %s\n", name, value);
}

void import_list(struct import *import, struct buf *lines, const char *name, const char *items)
{
    struct buf line;
    char *copy = import_copy(import, items);
    char *rest = copy;
    char *item;
    int failed = copy == NULL ? -1 : 0;

    buf_init(&line, VALUE_MAX);
    while (failed == 0 && (item = strsep(&rest, "\n")) != NULL)
        if (*item != '\0')
            failed = (line.len > 0 && buf_puts(&line, ", ") < 0) || put_quoted(&line, item) < 0 ? -1 : 0;
    if (failed == 0 && line.len > 0)
        import_print(import, lines, "    %s = {%s}\n", name, line.data);
    else
        import_print(import, lines,
                     "    # %s: a fetchrc cannot hold this value (control characters, or too long)\n", name);
    free(copy);
    buf_free(&line);
}

void import_note(struct import *import, struct import_account *account, const char *fmt, ...)
{
    char text[2048];
    char quoted[2048];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)fault_quote(quoted, sizeof(quoted), text, strlen(text));
    if (account != NULL)
        import_print(import, &account->notes, "    # %s\n", quoted);
    else
        import_print(import, &import->notes, "# %s\n", quoted);
}

void import_keep(struct import *import, struct import_account *account, bool keep)
{
    import_word(import, &account->options, "keep", keep ? "true" : "false");
    account->keeps = keep;
}

void import_self(struct import *import, struct import_account *account)
{
    if (import->self[0] != '\0')
        import_list(import, &account->options, "recipients", import->self);
}

char *import_path(struct import *import, const char *path)
{
    struct buf full;
    char *copy;

    if (strncmp(path, "~/", 2) != 0 || import->home == NULL)
        return import_copy(import, path);
    buf_init(&full, LINE_MAX_OCTETS);
    import_print(import, &full, "%s%s", import->home, path + 1);
    copy = import_copy(import, full.len > 0 ? full.data : path);
    buf_free(&full);
    return copy;
}

void import_fingerprint(struct import *import, struct import_account *account, const char *text)
{
    char value[7 + 64 + 1] = "sha256:";
    size_t digits = 0;

    for (; *text != '\0'; text++) {
        if (*text == ':')
            continue;
        if (!isxdigit((unsigned char)*text) || digits == 64)
            break;
        value[7 + digits++] = (char)tolower((unsigned char)*text);
    }
    value[7 + digits] = '\0';
    if (*text == '\0' && digits == 64)
        import_text(import, &account->options, "tls_fingerprint", value);
    else
        import_note(import, account,
                    "its fingerprint is no SHA-256 of a certificate; `popferry check %s` shows that one",
                    account->title);
}

bool import_identity(const struct import_account *account, char *dst, size_t size)
{
    char host[256];
    size_t i;

    if (account->host == NULL || account->user == NULL || strlen(account->host) >= sizeof(host))
        return false;
    for (i = 0; account->host[i] != '\0'; i++)
        host[i] = (char)tolower((unsigned char)account->host[i]);
    host[i] = '\0';
    if (account->port == 0 || account->port == 110 || account->port == 995)
        return (size_t)snprintf(dst, size, "%s@%s", account->user, host) < size;
    return (size_t)snprintf(dst, size, "%s@%s:%u", account->user, host, account->port) < size;
}

/* The same mailbox twice is a mistake in a fetchrc. */
static bool repeated(const struct import *import, size_t index)
{
    char identity[IMPORT_IDENTITY_MAX];
    char other[IMPORT_IDENTITY_MAX];
    size_t i;

    if (!import_identity(&import->accounts[index], identity, sizeof(identity)))
        return false;
    for (i = 0; i < index; i++)
        if (!import->accounts[i].dropped && import_identity(&import->accounts[i], other, sizeof(other)) &&
            strcmp(identity, other) == 0)
            return true;
    return false;
}

static void render_account(struct import *import, struct import_account *account, struct buf *out)
{
    static const char *const tls[] = {
        [TLS_NONE] = "none", [TLS_STARTTLS] = "starttls", [TLS_IMPLICIT] = "implicit"};

    import_print(import, out, "\naccount \"%s\" {\n", account->title);
    import_text(import, out, "host", account->host != NULL ? account->host : "");
    if (account->port != 0)
        import_number(import, out, "port", account->port);
    import_text(import, out, "tls", tls[account->tls]);
    import_text(import, out, "username", account->user != NULL ? account->user : "");
    if (account->options.len > 0 && buf_append(out, account->options.data, account->options.len) < 0)
        import->broken = true;
    if (account->notes.len > 0 && buf_append(out, account->notes.data, account->notes.len) < 0)
        import->broken = true;
    import_print(import, out, "}\n");
}

/* Put "# " before every line. */
static void comment_out(struct import *import, const char *lines, struct buf *out)
{
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");
        import_print(import, out, "%s%.*s\n", len > 0 ? "# " : "", (int)len, lines);
        lines += len + (lines[len] == '\n');
    }
}

void import_render(struct import *import, const char *head, struct buf *out)
{
    struct buf dropped;
    size_t i;

    import_print(import, out, "%s", head);
    if (import->notes.len > 0 && buf_append(out, import->notes.data, import->notes.len) < 0)
        import->broken = true;
    for (i = 0; i < import->destination_count; i++)
        import_print(import, out, "\ndestination \"%s\" {\n%s}\n", import->destinations[i].title,
                     import->destinations[i].options.data);
    for (i = 0; i < import->account_count; i++) {
        struct import_account *account = &import->accounts[i];
        if (!account->dropped && repeated(import, i)) {
            import_print(import, out, "\n# \"%s\" was left out: the same mailbox stands above\n",
                         account->title);
            continue;
        }
        if (!account->dropped) {
            render_account(import, account, out);
            continue;
        }
        buf_init(&dropped, TEXT_MAX);
        render_account(import, account, &dropped);
        comment_out(import, dropped.data, out);
        buf_free(&dropped);
    }
}
