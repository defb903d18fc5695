/* What the other programs remember of the messages that they have fetched. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/import_private.h"

#define UIDS_MAX (512u * 1024 * 1024)
#define UID_OCTETS_MAX 1024 /* more than RFC 1939's 70: servers exceed it */

int import_read(const char *path, size_t cap, struct buf *text)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int error = 0;

    buf_init(text, cap);
    if (fd < 0)
        return -1;
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
        error = EISDIR;
    while (error == 0) {
        ssize_t got;
        if (buf_reserve(text, 65536) < 0) {
            error = EFBIG;
            break;
        }
        got = read(fd, text->data + text->len, 65536);
        if (got < 0 && errno != EINTR)
            error = errno;
        if (got == 0)
            break;
        if (got > 0)
            text->len += (size_t)got;
    }
    if (text->data != NULL)
        text->data[text->len] = '\0';
    (void)close(fd);
    errno = error;
    return error == 0 ? 0 : -1;
}

static void take(struct import *import, struct import_account *account, const char *uid, size_t len)
{
    char **grown;

    if (len == 0 || len > UID_OCTETS_MAX)
        return;
    /* Grown at powers of two. */
    if ((account->uid_count & (account->uid_count - 1)) == 0) {
        size_t room = account->uid_count == 0 ? 1 : 2 * account->uid_count;
        grown = realloc(account->uids, room * sizeof(*grown));
        if (grown == NULL) {
            import->broken = true;
            return;
        }
        account->uids = grown;
    }
    account->uids[account->uid_count] = strndup(uid, len);
    if (account->uids[account->uid_count] == NULL)
        import->broken = true;
    else
        account->uid_count++;
}

/* The file if it is there; told when it is there and cannot be read. */
static bool open_uids(struct import *import, const char *path, struct buf *text)
{
    if (import_read(path, UIDS_MAX, text) == 0)
        return true;
    if (errno != ENOENT && errno != ENOTDIR)
        import_note(import, NULL, "cannot read %s: %s", path, strerror(errno));
    buf_free(text);
    return false;
}

/* The end of a line, and where the next begins. */
static size_t line_len(const char *line, const char *end)
{
    const char *eol = memchr(line, '\n', (size_t)(end - line));

    return (size_t)((eol != NULL ? eol : end) - line);
}

/* "USER@HOST UID": the user may hold spaces and @, so the accounts say where it ends. Returns the UID, or
 * NULL. */
static const char *fetchid_of(const struct import_account *account, const char *line, size_t len,
                              size_t *uid_len)
{
    size_t user = account->user == NULL ? 0 : strlen(account->user);
    size_t host = account->host == NULL ? 0 : strlen(account->host);

    if (user == 0 || host == 0 || len < user + host + 3 || memcmp(line, account->user, user) != 0 ||
        line[user] != '@' || strncasecmp(line + user + 1, account->host, host) != 0 ||
        line[user + 1 + host] != ' ')
        return NULL;
    *uid_len = len - user - host - 2;
    return line + user + host + 2;
}

void import_fetchids(struct import *import, const char *path, size_t first_account)
{
    struct buf text;
    const char *line;
    const char *end;
    size_t strangers = 0;
    size_t i;

    if (!open_uids(import, path, &text))
        return;
    for (i = first_account; i < import->account_count; i++)
        import->accounts[i].uids_found = true;
    line = text.data;
    end = text.data + text.len;
    while (line < end) {
        size_t len = line_len(line, end);
        bool known = len == 0;
        for (i = first_account; i < import->account_count; i++) {
            size_t uid_len;
            const char *uid = fetchid_of(&import->accounts[i], line, len, &uid_len);
            if (uid == NULL)
                continue;
            known = true;
            if (!import->accounts[i].dropped)
                take(import, &import->accounts[i], uid, uid_len);
        }
        strangers += !known;
        line += len + 1;
    }
    if (strangers > 0)
        import_note(import, NULL, "%zu lines of %s are of no account here", strangers, path);
    buf_free(&text);
}

/* " COUNT HOST USER": the head of mpop's list for one mailbox. Whether it is the account's. */
static bool heads(const struct import_account *account, const char *line, size_t len)
{
    char head[1024];
    char host[512];
    int user_at = 0;

    if (len >= sizeof(head) || account->host == NULL || account->user == NULL)
        return false;
    memcpy(head, line, len);
    head[len] = '\0';
    if (sscanf(head, " %*u %511s %n", host, &user_at) != 1 || user_at == 0)
        return false;
    return strcasecmp(host, account->host) == 0 && strcmp(head + user_at, account->user) == 0;
}

void import_mpop_uids(struct import *import, struct import_account *account, const char *path)
{
    struct buf text;
    const char *line;
    const char *end;
    bool ours = false;

    if (!open_uids(import, path, &text))
        return;
    account->uids_found = true;
    line = text.data;
    end = text.data + text.len;
    while (line < end) {
        size_t len = line_len(line, end);
        if (*line == ' ')
            ours = heads(account, line, len);
        else if (ours && *line != '#')
            take(import, account, line, len);
        line += len + 1;
    }
    buf_free(&text);
}

/* getmail's name for its list: "oldmail-HOST-PORT-USER", with runs of the characters in `stripped` as one
 * '-'. */
static void oldmail_name(struct import *import, const struct import_account *account, struct buf *path,
                         const char *directory)
{
    static const char stripped[] = "/\\:;<>|";
    unsigned port = account->port != 0 ? account->port : account->tls == TLS_IMPLICIT ? 995 : 110;
    char name[1024];
    char *out = name;
    bool run = false;
    const char *p;

    (void)snprintf(name, sizeof(name), "oldmail-%s-%u-%s", account->host, port, account->user);
    for (p = name; *p != '\0'; p++) {
        bool strip = strchr(stripped, *p) != NULL;
        if (!strip || !run)
            *out++ = (char)(strip ? '-' : *p);
        run = strip;
    }
    *out = '\0';
    buf_init(path, 8192);
    import_print(import, path, "%s/%s", directory, name);
}

void import_oldmail(struct import *import, struct import_account *account, const char *directory)
{
    struct buf path;
    struct buf text;
    const char *line;
    const char *end;

    if (account->uids_found || account->host == NULL || account->user == NULL)
        return;
    oldmail_name(import, account, &path, directory);
    if (path.len > 0 && open_uids(import, path.data, &text)) {
        account->uids_found = true;
        line = text.data;
        end = text.data + text.len;
        while (line < end) {
            size_t len = line_len(line, end);
            const char *mark = memchr(line, '\0', len); /* "UID\0TIME" */
            if (mark != NULL)
                take(import, account, line, (size_t)(mark - line));
            line += len + 1;
        }
        buf_free(&text);
    }
    buf_free(&path);
}
