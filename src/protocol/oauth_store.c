/* The token file: written whole, under a temporary name, and durable before anything in it is used. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/stop.h"
#include "protocol/oauth_private.h"
#include "store/lock.h"
#include "store/state_dir.h"

#define FILE_MAX (6 * OAUTH_TOKEN_MAX) /* three tokens, escapes and names */
#define LOCK_SLICE_MS 50
#define MOVE_TIMEOUT 10 /* seconds; three of them for the lock */

static int state_fault(struct fault *fault, const char *what, const char *name)
{
    return fault_set(fault, FAULT_OF_MAILBOX, FAULT_STATE, "oauth", "%s %s: %s", what, name, strerror(errno));
}

void oauth_file_free(struct oauth_file *file)
{
    free(file->token_endpoint);
    free(file->client_id);
    free(file->origin);
    oauth_free_secret(file->refresh_token);
    oauth_free_secret(file->previous);
    oauth_free_secret(file->access_token);
    *file = (struct oauth_file){0};
}

void oauth_file_name(const char *identity, char *dst, size_t size)
{
    char digest[65];
    char readable[65];
    size_t i;

    for (i = 0; identity[i] != '\0' && i + 1 < sizeof(readable); i++) {
        char c = identity[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '@' ||
                     c == '-' || c == '_' || (c == '.' && i > 0);
        readable[i] = (char)(plain ? c : '_');
    }
    readable[i] = '\0';
    oauth_digest(identity, digest);
    (void)snprintf(dst, size, "%s-%.16s.json", readable, digest);
}

/* Read up to FILE_MAX octets. */
static int read_all(int fd, struct buf *text)
{
    for (;;) {
        ssize_t got;
        if (buf_reserve(text, 4096) < 0) {
            errno = EFBIG;
            return -1;
        }
        got = read(fd, text->data + text->len, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        text->len += (size_t)got;
        text->data[text->len] = '\0';
    }
}

static char *take_string(json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));

    return text == NULL ? NULL : strdup(text);
}

static void wipe_string(json_t *root, const char *key)
{
    json_t *value = json_object_get(root, key);

    if (json_is_string(value))
        OPENSSL_cleanse((char *)(uintptr_t)json_string_value(value), json_string_length(value));
}

static void wipe_secrets(json_t *root)
{
    wipe_string(root, "refresh_token");
    wipe_string(root, "previous_refresh_token");
    wipe_string(root, "access_token");
    json_decref(root);
}

static int parse_file(const struct buf *text, struct oauth_file *file)
{
    json_t *root = json_loadb(text->len > 0 ? text->data : "", text->len, JSON_REJECT_DUPLICATES, NULL);
    bool good;

    if (!json_is_object(root)) {
        json_decref(root);
        return -1;
    }
    file->token_endpoint = take_string(root, "token_endpoint");
    file->client_id = take_string(root, "client_id");
    file->origin = take_string(root, "origin");
    file->refresh_token = take_string(root, "refresh_token");
    file->previous = take_string(root, "previous_refresh_token");
    file->access_token = take_string(root, "access_token");
    file->obtained_at = json_integer_value(json_object_get(root, "obtained_at"));
    file->expires_at = json_integer_value(json_object_get(root, "expires_at"));
    wipe_secrets(root);
    good = file->token_endpoint != NULL && file->client_id != NULL && file->refresh_token != NULL &&
           oauth_token_ok(file->refresh_token) &&
           (file->previous == NULL || oauth_token_ok(file->previous)) &&
           (file->access_token == NULL || oauth_token_ok(file->access_token));
    if (!good)
        oauth_file_free(file);
    return good ? 0 : -1;
}

int oauth_file_load(const struct oauth_params *params, struct oauth_file *file, struct fault *fault)
{
    char name[128];
    char path[PATH_MAX];
    struct buf text;
    int result;
    int fd;

    *file = (struct oauth_file){0};
    oauth_file_name(params->identity, name, sizeof(name));
    if ((size_t)snprintf(path, sizeof(path), "%s/oauth/%s", params->state_dir, name) >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return state_fault(fault, "cannot read the token file", name);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : state_fault(fault, "cannot read the token file", path);
    buf_init(&text, FILE_MAX);
    result = read_all(fd, &text);
    (void)close(fd);
    if (result < 0)
        (void)state_fault(fault, "cannot read the token file", path);
    else if ((result = parse_file(&text, file)) < 0)
        (void)fault_set(fault, FAULT_OF_MAILBOX, FAULT_STATE, "oauth",
                        "the token file %s is damaged; run popferry authorize %s again", path,
                        params->account);
    buf_free(&text);
    return result;
}

/* Open the directory of the token files, made where missing. */
static int open_dir(const struct oauth_params *params, struct fault *fault)
{
    char path[PATH_MAX];
    int fd;

    if (state_dir_open(params->state_dir, 1, fault) < 0)
        return -1;
    if ((size_t)snprintf(path, sizeof(path), "%s/oauth", params->state_dir) >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return state_fault(fault, "cannot open", params->state_dir);
    }
    if (state_dir_below(path) < 0)
        return state_fault(fault, "cannot make", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 ? fd : state_fault(fault, "cannot open", path);
}

int oauth_slot_open(const struct oauth_params *params, struct oauth_slot *slot, struct fault *fault)
{
    int error;

    slot->fd = -1;
    slot->dir = open_dir(params, fault);
    if (slot->dir < 0)
        return -1;
    oauth_file_name(params->identity, slot->name, sizeof(slot->name));
    (void)snprintf(slot->temp, sizeof(slot->temp), "%s.tmp", slot->name);
    /* One fixed name, since the lock is held: what a killed run left is replaced here. */
    (void)unlinkat(slot->dir, slot->temp, 0);
    slot->fd = state_dir_file(slot->dir, slot->temp, O_RDWR | O_EXCL | O_CLOEXEC | O_NOFOLLOW);
    if (slot->fd < 0) {
        (void)state_fault(fault, "cannot write the token file", slot->temp);
        oauth_slot_close(slot);
        return -1;
    }
    error = posix_fallocate(slot->fd, 0, FILE_MAX);
    if (error != 0 && error != EOPNOTSUPP && error != EINVAL) {
        errno = error;
        (void)state_fault(fault, "no room for the token file", slot->temp);
        oauth_slot_close(slot);
        return -1;
    }
    return 0;
}

void oauth_slot_close(struct oauth_slot *slot)
{
    if (slot->fd >= 0) {
        (void)unlinkat(slot->dir, slot->temp, 0);
        (void)close(slot->fd);
    }
    if (slot->dir >= 0)
        (void)close(slot->dir);
    slot->fd = -1;
    slot->dir = -1;
}

static int add_member(json_t *root, const char *key, const char *value)
{
    return value == NULL ? 0 : json_object_set_new(root, key, json_string(value));
}

static int dump_into(const char *data, size_t len, void *context)
{
    return buf_append(context, data, len);
}

static int dump_file(const struct oauth_file *file, struct buf *text)
{
    json_t *root = json_object();
    int failed = root == NULL;

    failed |= add_member(root, "token_endpoint", file->token_endpoint);
    failed |= add_member(root, "client_id", file->client_id);
    failed |= add_member(root, "origin", file->origin);
    failed |= add_member(root, "refresh_token", file->refresh_token);
    failed |= add_member(root, "previous_refresh_token", file->previous);
    failed |= add_member(root, "access_token", file->access_token);
    failed |= json_object_set_new(root, "obtained_at", json_integer(file->obtained_at));
    failed |= json_object_set_new(root, "expires_at", json_integer(file->expires_at));
    if (!failed)
        failed = json_dump_callback(root, dump_into, text, JSON_INDENT(2)) || buf_puts(text, "\n");
    wipe_secrets(root);
    return failed ? -1 : 0;
}

static int write_all(int fd, const char *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t wrote = pwrite(fd, data + done, len - done, (off_t)done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -1;
        done += (size_t)wrote;
    }
    return ftruncate(fd, (off_t)len) < 0 || fsync(fd) < 0 ? -1 : 0;
}

int oauth_slot_commit(struct oauth_slot *slot, const struct oauth_file *file, struct fault *fault)
{
    struct buf text;
    int result;

    buf_init(&text, FILE_MAX);
    result = dump_file(file, &text);
    if (result < 0) {
        errno = EFBIG;
    } else {
        result = write_all(slot->fd, text.data, text.len);
        if (result == 0)
            result = renameat(slot->dir, slot->temp, slot->dir, slot->name);
        if (result == 0) {
            (void)close(slot->fd); /* it has its name: no longer ours to remove */
            slot->fd = -1;
            result = fsync(slot->dir);
        }
    }
    if (result < 0)
        (void)state_fault(fault, "cannot store the new token in", slot->name);
    buf_free(&text);
    oauth_slot_close(slot);
    return result;
}

int oauth_lock(const struct oauth_params *params, struct fault *fault)
{
    int64_t end = clock_ms() + 3000 * (int64_t)params->timeout;
    char name[600];

    (void)snprintf(name, sizeof(name), "oauth:%s", params->identity);
    if (state_dir_open(params->state_dir, 1, fault) < 0)
        return -1;
    for (;;) {
        static const struct timespec slice = {.tv_nsec = LOCK_SLICE_MS * 1000000L};
        int busy = 0;
        int lock = lock_take(params->state_dir, name, 0, &busy, fault);

        if (lock >= 0 || !busy)
            return lock;
        if (stop_requested() || clock_ms() >= end)
            return fault_set(fault, FAULT_OF_MAILBOX, FAULT_RETRY, "oauth",
                             "another run is still renewing the access token");
        (void)nanosleep(&slice, NULL);
    }
}

int oauth_move(const char *state_dir, const char *from, const char *to, struct fault *fault)
{
    const struct oauth_params params = {.identity = from, .state_dir = state_dir, .timeout = MOVE_TIMEOUT};
    char path[PATH_MAX];
    char old_name[128];
    char new_name[128];
    int result = 0;
    int lock;
    int dir;

    oauth_file_name(from, old_name, sizeof(old_name));
    oauth_file_name(to, new_name, sizeof(new_name));
    if ((size_t)snprintf(path, sizeof(path), "%s/oauth/%s", state_dir, old_name) >= sizeof(path) ||
        access(path, F_OK) < 0) /* most mailboxes have none */
        return 0;
    dir = open_dir(&params, fault);
    if (dir < 0)
        return -1;
    lock = oauth_lock(&params, fault);
    if (lock < 0)
        result = -1;
    else if (linkat(dir, old_name, dir, new_name, 0) == 0) /* unlike a rename, never over another */
        result = unlinkat(dir, old_name, 0) < 0 || fsync(dir) < 0
                     ? state_fault(fault, "cannot rename the token file", old_name)
                     : 0;
    else if (errno != ENOENT && errno != EEXIST)
        result = state_fault(fault, "cannot rename the token file", old_name);
    lock_release(lock);
    (void)close(dir);
    return result;
}
