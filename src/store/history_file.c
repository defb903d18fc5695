/* The files of the history: is there one that can be ours, make one, move one aside, keep the reserve. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/history_private.h"
#include "store/lock.h"
#include "store/state_dir.h"
#include "store/state_dir.h"

#define CREATION_LOCK "history" /* no mailbox is called so: identities have an '@' */
#define RESERVE_SIZE (256 * 1024)

static int file_fault(struct fault *fault, const char *doing, const char *path, int error)
{
    return fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "history", "cannot %s %s: %s", doing, path,
                     strerror(error));
}

int history_unusable(struct fault *fault, const char *path, const char *why)
{
    return fault_set(
        fault, FAULT_OF_RUN, FAULT_STATE, "history",
        "the history %s %s; restore it from a backup, or move it aside with 'popferry history --reset' "
        "(mail that was kept on the servers will then come again)",
        path, why);
}

int history_file_look(const char *path, struct fault *fault)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno == ENOENT ? 0 : file_fault(fault, "open", path, errno);
    if (S_ISDIR(st.st_mode))
        return history_unusable(fault, path, "is a directory");
    if (!S_ISREG(st.st_mode))
        return history_unusable(fault, path, "is no regular file");
    if (st.st_size == 0)
        return history_unusable(fault, path, "is empty");
    return 1;
}

/* A name beside another; -1 when it is too long. */
static int beside(char *dst, const char *path, const char *suffix)
{
    int n = snprintf(dst, PATH_MAX, "%s%s", path, suffix);

    return n < 0 || n >= PATH_MAX ? -1 : 0;
}

static void remove_beside(const char *path, const char *const *suffixes)
{
    char name[PATH_MAX];

    for (; *suffixes != NULL; suffixes++)
        if (beside(name, path, *suffixes) == 0)
            (void)unlink(name);
}

/* An empty history under a name that nobody else uses, on disk when 0 is returned. */
static int build(const char *path, struct fault *fault)
{
    int fd = state_dir_file(AT_FDCWD, path, O_RDWR | O_EXCL | O_CLOEXEC | O_NOFOLLOW);
    sqlite3 *db = NULL;
    int rc;

    if (fd < 0)
        return file_fault(fault, "make", path, errno);
    rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA journal_mode = OFF; BEGIN;", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, history_schema, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT; PRAGMA journal_mode = WAL;", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        int error = sqlite3_system_errno(db);
        (void)fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "history", "cannot write %s: %s%s%s", path,
                        sqlite3_errmsg(db), error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
    }
    (void)sqlite3_close(db);
    if (rc == SQLITE_OK && fsync(fd) < 0)
        rc = file_fault(fault, "write", path, errno);
    (void)close(fd);
    return rc == SQLITE_OK ? 0 : -1;
}

static int sync_directory(const char *dir, struct fault *fault)
{
    return state_dir_sync(dir) == 0 ? 0 : file_fault(fault, "write", dir, errno);
}

static int creation_lock(const char *dir, struct fault *fault)
{
    int busy;
    int lock = lock_take(dir, CREATION_LOCK, 1, &busy, fault);

    if (lock < 0 && busy)
        (void)fault_set(fault, FAULT_OF_RUN, FAULT_RETRY, "history",
                        "stopped while another run made the history");
    return lock;
}

/* Under its own name first: history.db is there whole or not at all, whenever we are killed. */
static int make_whole(const char *dir, const char *path, struct fault *fault)
{
    char made[PATH_MAX];

    if (beside(made, path, ".new") < 0)
        return file_fault(fault, "make", path, ENAMETOOLONG);
    if (build(made, fault) < 0)
        return -1;
    if (rename(made, path) < 0)
        return file_fault(fault, "make", path, errno);
    return sync_directory(dir, fault);
}

int history_file_create(const char *dir, const char *path, struct fault *fault)
{
    /* A write-ahead log without its history belongs to one that is no more: SQLite would take it for the new
     * one's. */
    static const char *const orphans[] = {"-wal", "-shm", "-journal", NULL};
    static const char *const unfinished[] = {".new", ".new-wal", ".new-shm", NULL};
    int lock = creation_lock(dir, fault);
    int result;

    if (lock < 0)
        return -1;
    result = history_file_look(path, fault); /* once more: somebody may have been quicker */
    if (result == 0) {
        remove_beside(path, orphans);
        remove_beside(path, unfinished);
        result = make_whole(dir, path, fault);
        if (result < 0)
            remove_beside(path, unfinished);
    }
    lock_release(lock);
    return result < 0 ? -1 : 0;
}

int history_reserve_keep(const char *path, struct fault *fault)
{
    struct stat st;
    int fd, error;

    if (stat(path, &st) == 0 && st.st_size >= RESERVE_SIZE && st.st_blocks * 512 >= RESERVE_SIZE)
        return 0;
    fd = state_dir_file(AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return file_fault(fault, "make", path, errno);
    error = posix_fallocate(fd, 0, RESERVE_SIZE);
    (void)close(fd);
    if (error == 0)
        return 0;
    (void)unlink(path);
    return file_fault(fault, "reserve 256 KiB in", path, error);
}

/* history.db, -wal and -shm to names with the time in them that nothing has yet. */
static int move_aside(const char *path, char *moved_to, size_t size, struct fault *fault)
{
    static const char *const parts[] = {"-wal", "-shm", NULL};
    char from[PATH_MAX], to[PATH_MAX], stamp[32];
    time_t now = time(NULL);
    struct tm tm;
    unsigned n = 0;
    size_t i;

    if (gmtime_r(&now, &tm) == NULL || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm) == 0)
        return file_fault(fault, "move", path, EOVERFLOW);
    do {
        int len = n == 0 ? snprintf(moved_to, size, "%s.%s", path, stamp)
                         : snprintf(moved_to, size, "%s.%s-%u", path, stamp, n);
        if (len < 0 || (size_t)len >= size)
            return file_fault(fault, "move", path, ENAMETOOLONG);
        n++;
    } while (access(moved_to, F_OK) == 0);
    if (rename(path, moved_to) < 0)
        return file_fault(fault, "move", path, errno);
    for (i = 0; parts[i] != NULL; i++)
        if (beside(from, path, parts[i]) == 0 && beside(to, moved_to, parts[i]) == 0)
            (void)rename(from, to);
    return 0;
}

int history_reset(const char *dir, char *moved_to, size_t size, struct fault *fault)
{
    char path[PATH_MAX];
    int lock, result;

    if (beside(path, dir, "/history.db") < 0)
        return file_fault(fault, "move", dir, ENAMETOOLONG);
    lock = creation_lock(dir, fault);
    if (lock < 0)
        return -1;
    if (lock_any_held(dir, CREATION_LOCK))
        result = fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "history",
                           "%s is in use: wait until the run in progress has ended", path);
    else
        result = move_aside(path, moved_to, size, fault);
    if (result == 0)
        result = sync_directory(dir, fault);
    lock_release(lock);
    return result;
}
