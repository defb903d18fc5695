#include "store/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/hex.h"
#include "base/stop.h"
#include "store/state_dir.h"

#define LOCK_PREFIX "lock-"
#define NAME_OCTETS 8 /* of the digest, in a file name */

/* A name of any length and alphabet as a file name: the first octets of its SHA-256. */
static int lock_path(char *path, size_t size, const char *dir, const char *name)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[HEX_SIZE(NAME_OCTETS)];
    unsigned len;
    int n;

    if (!EVP_Digest(name, strlen(name), digest, &len, EVP_sha256(), NULL))
        return -1;
    hex_write(hex, digest, NAME_OCTETS);
    n = snprintf(path, size, "%s/" LOCK_PREFIX "%s", dir, hex);
    return n < 0 || (size_t)n >= size ? -1 : 0;
}

static int lock_fault(struct fault *fault, const char *path)
{
    return fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "lock", "cannot lock %s: %s", path, strerror(errno));
}

/* Not a blocking flock(2): a signal that asks the run to end must end the waiting too. */
static int take(int fd, int wait)
{
    static const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK || !wait || stop_requested())
            return -1;
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

int lock_take(const char *dir, const char *name, int wait, int *busy, struct fault *fault)
{
    char path[PATH_MAX];
    int fd;

    *busy = 0;
    if (lock_path(path, sizeof(path), dir, name) < 0) {
        errno = ENAMETOOLONG;
        return lock_fault(fault, dir);
    }
    fd = state_dir_file(AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return lock_fault(fault, path);
    if (take(fd, wait) == 0)
        return fd;
    if (errno == EWOULDBLOCK)
        *busy = 1;
    else
        (void)lock_fault(fault, path);
    (void)close(fd);
    return -1;
}

void lock_release(int lock)
{
    if (lock >= 0)
        (void)close(lock);
}

static bool held(int dir, const char *file)
{
    int fd = openat(dir, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    bool busy;

    if (fd < 0)
        return false;
    busy = flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    return busy;
}

bool lock_any_held(const char *dir, const char *except)
{
    char own[PATH_MAX];
    const struct dirent *entry;
    bool found = false;
    DIR *handle;

    if (lock_path(own, sizeof(own), dir, except) < 0 || (handle = opendir(dir)) == NULL)
        return false;
    while (!found && (entry = readdir(handle)) != NULL)
        found = strncmp(entry->d_name, LOCK_PREFIX, strlen(LOCK_PREFIX)) == 0 &&
                strcmp(entry->d_name, strrchr(own, '/') + 1) != 0 && held(dirfd(handle), entry->d_name);
    (void)closedir(handle);
    return found;
}
