/* A preloaded library that ends a program with SIGKILL at a step of its run.
 *
 * A step is a system call that talks to a peer (a TCP socket) or to the state (a file below $KILLER_STATE). Steps are counted
 * from 1 over all threads. $KILLER_AT=N with $KILLER_WHEN=before or after: that step is the last thing that happens, or the first
 * that does not. $KILLER_REPORT: a file that is told "N name" of that step, or of the last one when the program ends by itself.
 *
 * $KILLER_DISK: a directory that plays the disk under the state: it holds what was synced, and nothing else. "file-INODE" is a
 * file's content at its last fsync(2) or fdatasync(2), "names" has a line "INODE NAME" for each entry of the state directory at
 * its own last sync. What a power cut leaves is made of these. */
#undef _GNU_SOURCE /* with it the socket functions take unions, which no definition can match */
#define _DEFAULT_SOURCE
#define _LARGEFILE64_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_ulong steps;
static unsigned long last_step;
static bool kill_after;
static const char *state;
static const char *report;
static const char *disk;
static pthread_mutex_t disk_mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- what the program under test must not notice ---- */

static void write_report(unsigned long step, const char *name)
{
    char text[80];
    int len = snprintf(text, sizeof(text), "%lu %s\n", step, name);
    long fd;

    if (report == NULL)
        return;
    fd = syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0 && len > 0)
        (void)syscall(SYS_write, fd, text, (size_t)len);
    if (fd >= 0)
        (void)syscall(SYS_close, fd);
}

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("KILLER_AT");
    const char *when = getenv("KILLER_WHEN");

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing is left of a test that was ended */
    state = getenv("KILLER_STATE");
    report = getenv("KILLER_REPORT");
    disk = getenv("KILLER_DISK");
    kill_after = when != NULL && strcmp(when, "after") == 0;
    last_step = at != NULL ? strtoul(at, NULL, 10) : 0;
}

__attribute__((destructor)) static void end(void)
{
    write_report(atomic_load(&steps), "exit");
}

static void die(unsigned long step, const char *name)
{
    write_report(step, name);
    (void)syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* The number of this step; 0 if it is none. */
static unsigned long before(bool is_step, const char *name)
{
    unsigned long step = is_step ? atomic_fetch_add(&steps, 1) + 1 : 0;

    if (step != 0 && step == last_step && !kill_after)
        die(step, name);
    return step;
}

static void after(unsigned long step, const char *name)
{
    if (step != 0 && step == last_step && kill_after)
        die(step, name);
}

static bool below_state(const char *path)
{
    size_t len = state != NULL ? strlen(state) : 0;

    return len > 0 && strncmp(path, state, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool is_state(int fd)
{
    char name[64], path[PATH_MAX];
    int saved = errno;
    ssize_t len;

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    len = readlink(name, path, sizeof(path) - 1);
    errno = saved;
    if (len < 0)
        return false;
    path[len] = '\0';
    return below_state(path);
}

static bool is_peer(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    int saved = errno;
    long failed = syscall(SYS_getsockname, fd, &address, &len);

    errno = saved;
    return failed == 0 && (address.ss_family == AF_INET || address.ss_family == AF_INET6);
}

/* Whether something can be read at once; asking in vain is no step, or their number would depend on the weather. */
static bool is_answer(int fd)
{
    char octet;
    int saved = errno;
    bool ready = is_peer(fd) && syscall(SYS_recvfrom, fd, &octet, (size_t)1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) >= 0;

    errno = saved;
    return ready;
}

/* ---- the disk ---- */

/* A file of the disk is replaced as a whole. Where that fails the program dies, since the test would prove nothing. */
static int open_on_disk(const char *name, char *made, char *path)
{
    (void)snprintf(made, PATH_MAX, "%s/%s.new", disk, name);
    (void)snprintf(path, PATH_MAX, "%s/%s", disk, name);
    return (int)syscall(SYS_openat, AT_FDCWD, made, O_WRONLY | O_CREAT | O_TRUNC, 0600);
}

static void keep_content(int fd, const struct stat *st)
{
    char made[PATH_MAX], path[PATH_MAX], name[64], block[65536];
    long in, out, len;

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd); /* it may be open for writing only */
    in = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY);
    (void)snprintf(name, sizeof(name), "file-%lu", (unsigned long)st->st_ino);
    out = open_on_disk(name, made, path);
    if (in < 0 || out < 0)
        abort();
    while ((len = syscall(SYS_read, in, block, sizeof(block))) > 0)
        if (syscall(SYS_write, out, block, (size_t)len) != len)
            abort();
    (void)syscall(SYS_close, in);
    (void)syscall(SYS_close, out);
    (void)syscall(SYS_renameat, AT_FDCWD, made, AT_FDCWD, path);
}

static void keep_names(int fd, const struct stat *st)
{
    char made[PATH_MAX], path[PATH_MAX], line[NAME_MAX + 64];
    const struct dirent *entry;
    DIR *handle;
    int out;

    (void)snprintf(line, sizeof(line), "names-%lu", (unsigned long)st->st_ino);
    out = open_on_disk(line, made, path);
    (void)snprintf(line, sizeof(line), "/proc/self/fd/%d", fd);
    handle = opendir(line);
    if (out < 0 || handle == NULL)
        abort();
    while ((entry = readdir(handle)) != NULL) {
        int len = snprintf(line, sizeof(line), "%lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
        if (entry->d_name[0] != '.' && syscall(SYS_write, out, line, (size_t)len) != len)
            abort();
    }
    (void)closedir(handle);
    (void)syscall(SYS_close, out);
    (void)syscall(SYS_renameat, AT_FDCWD, made, AT_FDCWD, path);
}

static int synced(int fd, long number, const char *name)
{
    bool mine = is_state(fd);
    unsigned long step = before(mine, name);
    long result = syscall(number, fd);
    int saved = errno;
    struct stat st;

    if (mine && disk != NULL && result == 0 && fstat(fd, &st) == 0) {
        (void)pthread_mutex_lock(&disk_mutex);
        if (S_ISDIR(st.st_mode))
            keep_names(fd, &st);
        else
            keep_content(fd, &st);
        (void)pthread_mutex_unlock(&disk_mutex);
    }
    after(step, name);
    errno = saved;
    return (int)result;
}

int fsync(int fd)
{
    return synced(fd, SYS_fsync, "fsync");
}

int fdatasync(int fd)
{
    return synced(fd, SYS_fdatasync, "fdatasync");
}

/* ---- peers ---- */

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    unsigned long step = before(address->sa_family == AF_INET || address->sa_family == AF_INET6, "connect");
    long result = syscall(SYS_connect, fd, address, len);

    after(step, "connect");
    return (int)result;
}

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
    unsigned long step = before(is_peer(fd), "send");
    ssize_t result = syscall(SYS_sendto, fd, data, len, flags, to, to_len);

    after(step, "send");
    return result;
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    return sendto(fd, data, len, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    unsigned long step = before(is_peer(fd), "sendmsg");
    ssize_t result = syscall(SYS_sendmsg, fd, message, flags);

    after(step, "sendmsg");
    return result;
}

ssize_t recvfrom(int fd, void *data, size_t len, int flags, struct sockaddr *from, socklen_t *from_len)
{
    unsigned long step = before(is_answer(fd), "recv");
    ssize_t result = syscall(SYS_recvfrom, fd, data, len, flags, from, from_len);

    after(step, "recv");
    return result;
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
    return recvfrom(fd, data, len, flags, NULL, NULL);
}

int shutdown(int fd, int how)
{
    unsigned long step = before(is_peer(fd), "shutdown");
    long result = syscall(SYS_shutdown, fd, how);

    after(step, "shutdown");
    return (int)result;
}

int close(int fd)
{
    unsigned long step = before(is_peer(fd) || is_state(fd), "close");
    long result = syscall(SYS_close, fd);

    after(step, "close");
    return (int)result;
}

/* ---- both ---- */

ssize_t read(int fd, void *data, size_t len)
{
    unsigned long step = before(is_answer(fd) || is_state(fd), "read");
    ssize_t result = syscall(SYS_read, fd, data, len);

    after(step, "read");
    return result;
}

ssize_t write(int fd, const void *data, size_t len)
{
    unsigned long step = before(is_peer(fd) || is_state(fd), "write");
    ssize_t result = syscall(SYS_write, fd, data, len);

    after(step, "write");
    return result;
}

/* ---- the state ---- */

static ssize_t read_at(int fd, void *data, size_t len, long at)
{
    unsigned long step = before(is_state(fd), "pread");
    ssize_t result = syscall(SYS_pread64, fd, data, len, at);

    after(step, "pread");
    return result;
}

ssize_t pread(int fd, void *data, size_t len, off_t at)
{
    return read_at(fd, data, len, at);
}

ssize_t pread64(int fd, void *data, size_t len, off64_t at)
{
    return read_at(fd, data, len, at);
}

static ssize_t write_at(int fd, const void *data, size_t len, long at)
{
    unsigned long step = before(is_state(fd), "pwrite");
    ssize_t result = syscall(SYS_pwrite64, fd, data, len, at);

    after(step, "pwrite");
    return result;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return write_at(fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
    return write_at(fd, data, len, at);
}

static int cut(int fd, long len)
{
    unsigned long step = before(is_state(fd), "ftruncate");
    long result = syscall(SYS_ftruncate, fd, len);

    after(step, "ftruncate");
    return (int)result;
}

int ftruncate(int fd, off_t len)
{
    return cut(fd, len);
}

int ftruncate64(int fd, off64_t len)
{
    return cut(fd, len);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    unsigned long step = before(is_state(fd), "fallocate");
    int saved = errno;
    int error = syscall(SYS_fallocate, fd, 0, at, len) < 0 ? errno : 0;

    errno = saved;
    after(step, "fallocate");
    return error;
}

int flock(int fd, int how)
{
    unsigned long step = before(is_state(fd), "flock");
    long result = syscall(SYS_flock, fd, how);

    after(step, "flock");
    return (int)result;
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    unsigned long step = before(below_state(path), "open");
    long result = syscall(SYS_openat, dir, path, flags, mode);

    after(step, "open");
    return (int)result;
}

#ifndef __O_TMPFILE
#define __O_TMPFILE 0
#endif

#define MODE_OF(flags, mode)                                                                                 \
    do {                                                                                                     \
        va_list list;                                                                                        \
        va_start(list, flags);                                                                               \
        mode = ((flags) & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;                            \
        va_end(list);                                                                                        \
    } while (0)

int open(const char *path, int flags, ...)
{
    mode_t mode;

    MODE_OF(flags, mode);
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode;

    MODE_OF(flags, mode);
    return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int mkdir(const char *path, mode_t mode)
{
    unsigned long step = before(below_state(path), "mkdir");
    long result = syscall(SYS_mkdirat, AT_FDCWD, path, mode);

    after(step, "mkdir");
    return (int)result;
}

int rename(const char *from, const char *to)
{
    unsigned long step = before(below_state(from), "rename");
    long result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);

    after(step, "rename");
    return (int)result;
}

int unlink(const char *path)
{
    unsigned long step = before(below_state(path), "unlink");
    long result = syscall(SYS_unlinkat, AT_FDCWD, path, 0);

    after(step, "unlink");
    return (int)result;
}
