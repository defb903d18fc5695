#include "mail/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *directory(void)
{
    const char *dir = getenv("TMPDIR");

    return dir != NULL && dir[0] != '\0' ? dir : "/tmp";
}

static int fail(struct fault *fault, const char *what, int error)
{
    return fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "temporary file",
                     "cannot %s a temporary file in %.400s: %s", what, directory(), strerror(error));
}

/* For file systems without O_TMPFILE. */
static int open_and_unlink(const char *dir)
{
    char path[4096];
    int fd;

    if (snprintf(path, sizeof(path), "%s/popferry.XXXXXX", dir) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

int spill_open(struct fault *fault)
{
    const char *dir = directory();
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

    /* EISDIR comes from kernels, EOPNOTSUPP from file systems that do not know it. */
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        fd = open_and_unlink(dir);
    return fd >= 0 ? fd : fail(fault, "make", errno);
}

int spill_write(int fd, const char *data, size_t len, struct fault *fault)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(fault, "write", n < 0 ? errno : ENOSPC);
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

long spill_read(int fd, uint64_t offset, char *data, size_t size, struct fault *fault)
{
    ssize_t n;

    do
        n = pread(fd, data, size, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail(fault, "read", errno);
    return (long)n;
}
