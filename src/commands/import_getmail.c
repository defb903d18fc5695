/* getmail's rc files (one mailbox each) and oldmail files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/import_private.h"

#define VALUES_MAX 128

/* An option of a section; the strings stand in the file's text. */
struct value {
    const char *section;
    const char *name;
    char *text;
};

struct file {
    struct import *import;
    struct value values[VALUES_MAX];
    size_t count;
};

static char *get(struct file *file, const char *section, const char *name)
{
    size_t i;

    for (i = file->count; i-- > 0;)
        if (strcasecmp(file->values[i].section, section) == 0 && strcasecmp(file->values[i].name, name) == 0)
            return file->values[i].text;
    return NULL;
}

static bool is_true(const char *text)
{
    return text != NULL && (strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 ||
                            strcasecmp(text, "on") == 0 || strcmp(text, "1") == 0);
}

/* Lines as Python's configparser reads them: "name = value" or "name: value", an indented line goes on with
 * the value. */
static void read_values(struct file *file, char *text)
{
    const char *section = "";
    struct value *last = NULL;
    char *line;

    while ((line = strsep(&text, "\n")) != NULL) {
        bool indented = *line == ' ' || *line == '\t';
        char *content = import_trim(line);
        char *mark = content + strcspn(content, "=:");

        if (*content == '\0' || *content == '#' || *content == ';')
            continue;
        if (indented && last != NULL) {
            /* The lines between are NULs and blanks now: move the value's next part up to it. */
            size_t len = strlen(last->text);
            last->text[len] = ' ';
            memmove(last->text + len + 1, content, strlen(content) + 1);
        } else if (*content == '[') {
            content[strcspn(content, "]")] = '\0';
            section = content + 1;
            last = NULL;
        } else if (*mark != '\0' && file->count < VALUES_MAX) {
            *mark = '\0';
            last = &file->values[file->count++];
            *last = (struct value){section, import_trim(content), import_trim(mark + 1)};
        } else {
            import_note(file->import, NULL, "not understood: %s", content);
        }
    }
}

/* The next "string" of a Python tuple, in place. */
static char *tuple_item(char **at)
{
    char *begin = *at + strcspn(*at, "\"'");
    char *out = begin + 1;
    char *in = begin + 1;

    if (*begin == '\0')
        return NULL;
    for (; *in != '\0' && *in != *begin; in++) {
        if (*in == '\\' && in[1] != '\0')
            in++;
        *out++ = *in;
    }
    *at = *in != '\0' ? in + 1 : in;
    *out = '\0';
    return begin + 1;
}

/* A word for sh. */
static void put_word(struct import *import, struct buf *command, const char *word)
{
    if (command->len > 0)
        import_print(import, command, " ");
    if (*word != '\0' &&
        strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-") ==
            strlen(word)) {
        import_print(import, command, "%s", word);
        return;
    }
    import_print(import, command, "'");
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            import_print(import, command, "'\\''");
        else
            import_print(import, command, "%c", *word);
    }
    import_print(import, command, "'");
}

static void put_login(struct file *file, struct import_account *account)
{
    struct import *import = file->import;
    char *tuple = get(file, "retriever", "password_command");
    struct buf command;
    char *word;
    bool first = true;

    buf_init(&command, 8192);
    if (is_true(get(file, "retriever", "use_apop")))
        import_text(import, &account->options, "auth", "apop");
    if (is_true(get(file, "retriever", "use_xoauth2")))
        import_text(import, &account->options, "auth", "xoauth2");
    if (get(file, "retriever", "password") != NULL) {
        import_text(import, &account->options, "password", get(file, "retriever", "password"));
        account->has_password = true;
    } else if (tuple != NULL) {
        while ((word = tuple_item(&tuple)) != NULL) {
            char *path = first ? import_path(import, word) : NULL;
            put_word(import, &command, path != NULL ? path : word);
            free(path);
            first = false;
        }
        import_text(import, &account->options,
                    is_true(get(file, "retriever", "use_xoauth2")) ? "token_command" : "password_command",
                    command.len > 0 ? command.data : "");
    } else {
        import_note(import, account,
                    "no password here: getmail asked for it, or took it from a key ring or ~/.netrc");
    }
    buf_free(&command);
}

static void put_file(struct file *file, struct import_account *account, const char *name, const char *option)
{
    const char *path = get(file, "retriever", option);
    char *full = path != NULL ? import_path(file->import, path) : NULL;

    import_text(file->import, &account->options, name, full);
    free(full);
}

static void put_server(struct file *file, struct import_account *account, const char *type)
{
    const char *port = get(file, "retriever", "port");
    char *prints = get(file, "retriever", "ssl_fingerprints");
    char *print = prints != NULL ? tuple_item(&prints) : NULL;

    account->tls = strstr(type, "SSL") != NULL ? TLS_IMPLICIT : TLS_NONE;
    if (port != NULL && !import_port(account, port))
        import_note(file->import, account, "port %s: write its number", port);
    if (account->tls == TLS_NONE)
        return;
    put_file(file, account, "tls_ca_file", "ca_certs");
    put_file(file, account, "tls_cert_file", "certfile");
    put_file(file, account, "tls_key_file", "keyfile");
    if (print != NULL)
        import_fingerprint(file->import, account, print);
    else if (get(file, "retriever", "ca_certs") == NULL)
        import_note(file->import, account,
                    "getmail checked no certificate without ca_certs; popferry always does");
}

/* "delivered-to:1": the field, and which of several. */
static void put_multidrop(struct file *file, struct import_account *account)
{
    const char *value = get(file, "retriever", "envelope_recipient");
    char field[128];

    if (value == NULL)
        return;
    (void)snprintf(field, sizeof(field), "%.*s", (int)strcspn(value, ": \t"), value);
    import_list(file->import, &account->options, "envelope_header", field);
    import_note(file->import, account,
                "write who gets which address: map = {\"ADDRESS=USER\", \"@DOMAIN=USER\", \"*=USER\"}");
}

static void put_options(struct file *file, struct import_account *account)
{
    struct import *import = file->import;
    const char *days = get(file, "options", "delete_after");
    const char *size = get(file, "options", "max_message_size");
    const char *count = get(file, "options", "max_messages_per_session");
    bool deletes = is_true(get(file, "options", "delete"));

    import_keep(import, account, !deletes);
    if (!deletes && days != NULL && strtoul(days, NULL, 10) > 0)
        import_number(import, &account->options, "keep_days", strtoul(days, NULL, 10));
    if (size != NULL && strtoul(size, NULL, 10) > 0)
        import_number(import, &account->options, "max_size", strtoul(size, NULL, 10));
    if (count != NULL && strtoul(count, NULL, 10) > 0)
        import_number(import, &account->options, "max_messages", strtoul(count, NULL, 10));
}

/* What is left. */
static void put_notes(struct file *file, struct import_account *account)
{
    static const char *const done[] = {
        "retriever.type", "retriever.server", "retriever.port", "retriever.username", "retriever.password",
        "retriever.password_command", "retriever.use_apop", "retriever.use_xoauth2", "retriever.ca_certs",
        "retriever.certfile", "retriever.keyfile", "retriever.ssl_fingerprints",
        "retriever.envelope_recipient", "options.delete", "options.delete_after", "options.max_message_size",
        "options.max_messages_per_session",
        /* What popferry does anyway, or has no need of. */
        "options.read_all", "options.verbose", "options.received", "options.to_oldmail_on_each_mail",
        "options.message_log_verbose", "options.skip_imap_fetch_size"};
    char name[256];
    size_t i;
    size_t d;

    for (i = 0; i < file->count; i++) {
        const struct value *value = &file->values[i];
        (void)snprintf(name, sizeof(name), "%s.%s", value->section, value->name);
        for (d = 0; d < sizeof(done) / sizeof(done[0]); d++)
            if (strcasecmp(name, done[d]) == 0)
                break;
        if (d == sizeof(done) / sizeof(done[0]))
            import_note(file->import, account, "no counterpart: [%s] %s = %s", value->section, value->name,
                        value->text);
    }
    if (get(file, "destination", "type") != NULL)
        import_note(file->import, account, "mail goes to the SMTP server of this host");
}

/* The title: the rc file's name, or the server where that says nothing. */
static void title_of(const char *path, const char *server, char *title, size_t size)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    name += *name == '.';
    if (strncmp(name, "getmailrc", 9) == 0 && (name[9] == '-' || name[9] == '.') && name[10] != '\0')
        name += 10;
    (void)snprintf(title, size, "%s", strcmp(name, "getmailrc") == 0 && server != NULL ? server : name);
}

static void take_oldmail(struct import *import, struct import_account *account, const char *path)
{
    static const char *const places[] = {"~/.config/getmail", "~/.getmail"};
    const char *slash = strrchr(path, '/');
    char *directory = slash == NULL ? import_copy(import, ".") : strndup(path, (size_t)(slash - path));
    size_t i;

    if (directory != NULL)
        import_oldmail(import, account, directory);
    free(directory);
    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        directory = import_path(import, places[i]);
        if (directory != NULL)
            import_oldmail(import, account, directory);
        free(directory);
    }
}

void import_getmail(struct import *import, const char *path, char *text)
{
    struct file *file = calloc(1, sizeof(*file));
    struct import_account *account;
    const char *type;
    char title[128];

    if (file == NULL) {
        import->broken = true;
        return;
    }
    file->import = import;
    read_values(file, text);
    type = get(file, "retriever", "type");
    title_of(path, get(file, "retriever", "server"), title, sizeof(title));
    account =
        import_account(import, title, get(file, "retriever", "server"), get(file, "retriever", "username"));
    if (account != NULL) {
        put_server(file, account, type != NULL ? type : "");
        put_login(file, account);
        import_self(import, account);
        put_multidrop(file, account);
        put_options(file, account);
        put_notes(file, account);
        account->dropped =
            type == NULL || strstr(type, "POP3") == NULL || account->host == NULL || account->user == NULL;
        if (account->dropped)
            import_note(import, account, "type %s: popferry fetches by POP3 only",
                        type != NULL ? type : "(none)");
        else
            take_oldmail(import, account, path);
    }
    free(file);
}
