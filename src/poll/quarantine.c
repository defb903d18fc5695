#include "poll/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mail/lines.h"
#include "store/state_dir.h"
#include "store/state_dir.h"

#define CHUNK 65536

static int state_fault(struct fault *fault, const char *path)
{
    return fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "quarantine", "cannot write %.500s: %s", path,
                     strerror(errno));
}

static int make_dirs(const char *state_dir, struct fault *fault)
{
    static const char *const names[] = {"quarantine", "quarantine/tmp", "quarantine/new", "quarantine/cur"};
    char path[4096];
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", state_dir, names[i]);
        if (state_dir_below(path) < 0)
            return state_fault(fault, path);
    }
    return 0;
}

/* Maildir keeps LF line ends. In SMTP form a CR stands only before LF. */
static size_t drop_crs(char *data, size_t len)
{
    size_t kept = 0;
    size_t i;

    for (i = 0; i < len; i++) {
        if (data[i] != '\r')
            data[kept++] = data[i];
    }
    return kept;
}

static int write_text(FILE *out, const struct message *message, const char *path, struct fault *fault)
{
    const char *sender = message_return_path(message);
    char chunk[CHUNK];
    uint64_t offset = 0;
    bool line_start = true;
    long got;

    if (sender != NULL)
        (void)fprintf(out, "Return-Path: <%s>\n", sender);
    while ((got = message_read(message, offset, chunk, sizeof(chunk), fault)) > 0) {
        size_t len = drop_crs(chunk, lines_unstuff(chunk, (size_t)got, &line_start));
        offset += (uint64_t)got;
        if (fwrite(chunk, 1, len, out) != len)
            return state_fault(fault, path);
    }
    return got < 0 ? -1 : 0;
}

static int write_file(const char *path, const struct message *message, struct fault *fault)
{
    int fd = state_dir_file(AT_FDCWD, path, O_WRONLY | O_EXCL | O_CLOEXEC);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    int result;

    if (out == NULL) {
        (void)state_fault(fault, path);
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    result = write_text(out, message, path, fault);
    if (result == 0 && (fflush(out) != 0 || fsync(fd) < 0))
        result = state_fault(fault, path);
    if (fclose(out) != 0 && result == 0)
        result = state_fault(fault, path);
    if (result < 0)
        (void)unlink(path);
    return result;
}

/* The new name must survive a power cut as well, and so must those of the directories that it is in. */
static int sync_names(const char *state_dir, struct fault *fault)
{
    static const char *const names[] = {"quarantine/new", "quarantine", "."};
    char path[4096];
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", state_dir, names[i]);
        if (state_dir_sync(path) < 0)
            return state_fault(fault, path);
    }
    return 0;
}

int quarantine_put(const char *state_dir, const struct message *message, int64_t id, struct fault *fault)
{
    char name[128];
    char tmp[4096];
    char target[4096];

    if (make_dirs(state_dir, fault) < 0)
        return -1;
    (void)snprintf(name, sizeof(name), "%lld.M%lldP%ld.popferry", (long long)time(NULL), (long long)id,
                   (long)getpid());
    (void)snprintf(tmp, sizeof(tmp), "%s/quarantine/tmp/%s", state_dir, name);
    (void)snprintf(target, sizeof(target), "%s/quarantine/new/%s", state_dir, name);
    if (write_file(tmp, message, fault) < 0)
        return -1;
    if (rename(tmp, target) < 0) {
        (void)state_fault(fault, target);
        (void)unlink(tmp);
        return -1;
    }
    return sync_names(state_dir, fault);
}
