#include "store/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int state_fault(struct fault *fault, const char *doing, const char *path, int error)
{
    return fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "state", "cannot %s the state directory %s: %s", doing,
                     path, strerror(error));
}

/* base and name as one absolute path; base NULL: the working directory. */
static char *join(const char *base, const char *name, size_t name_len, struct fault *fault)
{
    char *here = NULL, *path = NULL;

    if (base == NULL && (base = here = getcwd(NULL, 0)) == NULL) {
        (void)state_fault(fault, "find", name, errno);
        return NULL;
    }
    if (asprintf(&path, "%s/%.*s", base, (int)name_len, name) < 0) {
        path = NULL;
        (void)state_fault(fault, "name", name, ENOMEM);
    }
    free(here);
    return path;
}

static char *absolute(const char *path, size_t len, struct fault *fault)
{
    if (path[0] == '/')
        return join("", path + 1, len - 1, fault);
    return join(NULL, path, len, fault);
}

/* ~/.local/state/popferry, by $HOME or else the password database. */
static char *home_state(struct fault *fault)
{
    const char *home = getenv("HOME");
    struct passwd entry, *found = NULL;
    char memory[4096];
    static const char below[] = ".local/state/popferry";

    if (home != NULL && home[0] == '/')
        return join(home, below, strlen(below), fault);
    if (getpwuid_r(geteuid(), &entry, memory, sizeof(memory), &found) == 0 && found != NULL)
        return join(found->pw_dir, below, strlen(below), fault);
    (void)fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "state",
                    "no place for the state: HOME is not set; give --state-dir or state_dir");
    return NULL;
}

char *state_dir_path(const char *option, const char *configured, struct fault *fault)
{
    const char *systemd = getenv("STATE_DIRECTORY");
    const char *xdg = getenv("XDG_STATE_HOME");
    static const char system[] = "/var/lib/popferry";

    if (option != NULL && option[0] != '\0')
        return absolute(option, strlen(option), fault);
    if (configured != NULL && configured[0] != '\0')
        return absolute(configured, strlen(configured), fault);
    if (systemd != NULL && systemd[0] == '/')
        return absolute(systemd, strcspn(systemd, ":"), fault);
    if (xdg != NULL && xdg[0] == '/') /* the XDG specification: a relative one is to be ignored */
        return join(xdg, "popferry", strlen("popferry"), fault);
    if (geteuid() == 0)
        return absolute(system, strlen(system), fault);
    return home_state(fault);
}

/* The new name survives a power cut once its parent is synced; where that cannot be done, nothing
 * better can. */
static int make(const char *path)
{
    int dir, parent;

    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ? 0 : -1;
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    parent = dir < 0 ? -1 : openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0) {
        (void)fsync(parent);
        (void)close(parent);
    }
    if (dir >= 0)
        (void)close(dir);
    return 0;
}

static int make_parents(char *path)
{
    char *slash = path;

    while ((slash = strchr(slash + 1, '/')) != NULL) {
        int failed;
        *slash = '\0';
        failed = make(path) < 0;
        *slash = '/';
        if (failed) /* a parent that is there, but on a read-only file system, fails with EROFS */
            return access(path, F_OK) == 0 ? 0 : -1;
    }
    return make(path);
}

int state_dir_open(const char *path, int create, struct fault *fault)
{
    struct stat st;

    if (create && stat(path, &st) < 0) {
        char *copy = strdup(path);
        int failed = copy == NULL || make_parents(copy) < 0;
        int error = errno;
        free(copy);
        if (failed)
            return state_fault(fault, "make", path, error);
    }
    if (stat(path, &st) < 0)
        return state_fault(fault, "open", path, errno);
    if (!S_ISDIR(st.st_mode))
        return state_fault(fault, "open", path, ENOTDIR);
    if (access(path, create ? R_OK | W_OK | X_OK : R_OK | X_OK) < 0)
        return state_fault(fault, create ? "write to" : "read", path, errno);
    return 0;
}

/* Only what was just made: the owner could have linked anything else to that name. What cannot be given stays
 * root's. */
static void give_to_owner(int fd, int at, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    struct stat st;

    (void)(parent != NULL && fstatat(at, parent, &st, 0) == 0 && st.st_uid != 0 &&
           fchown(fd, st.st_uid, st.st_gid) == 0);
    free(parent);
}

int state_dir_file(int at, const char *path, int flags)
{
    int fd = openat(at, path, flags | O_CREAT | O_EXCL, 0600);

    if (fd >= 0 && geteuid() == 0)
        give_to_owner(fd, at, path);
    if (fd < 0 && errno == EEXIST && (flags & O_EXCL) == 0)
        fd = openat(at, path, flags | O_CREAT, 0600);
    return fd;
}

int state_dir_below(const char *path)
{
    int fd;

    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ? 0 : -1;
    fd = geteuid() == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd >= 0) {
        give_to_owner(fd, AT_FDCWD, path);
        (void)close(fd);
    }
    return 0;
}

int state_dir_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Some file systems cannot sync a directory and say EINVAL; they have nothing to sync then. */
    int error = fd < 0 || (fsync(fd) < 0 && errno != EINVAL) ? errno : 0;

    if (fd >= 0)
        (void)close(fd);
    errno = error;
    return error == 0 ? 0 : -1;
}
