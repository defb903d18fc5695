#include "config/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"
#include "config/secret.h"

#define STDERR_MAX 1024 /* octets that are looked at; the rest is read and dropped */
#define GRACE_MS 1000   /* between SIGTERM and SIGKILL */
#define STEP_MS 50

#define refuse(fault, ...) fault_set(fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "secret", __VA_ARGS__)

struct child {
    pid_t pid;
    int out;
    int err;
};

/* Between fork() and exec() in a process with threads: only what is async-signal-safe. */
static _Noreturn void become(const char *command, int out, int err, int descriptors)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t none;
    int in = open("/dev/null", O_RDONLY);
    int fd;

    (void)setpgid(0, 0);
    (void)sigaction(SIGPIPE, &by_default, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(127);
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0)
        descriptors = 0;
#endif
    for (fd = 3; fd < descriptors; fd++)
        (void)close(fd);
    (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static int start(struct child *child, const char *command)
{
    int out[2] = {-1, -1};
    int err[2] = {-1, -1};
    int descriptors = (int)sysconf(_SC_OPEN_MAX);
    int saved;

    child->pid = -1;
    if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0)
        child->pid = fork();
    if (child->pid == 0)
        become(command, out[1], err[1], descriptors);
    saved = errno;
    if (child->pid > 0) {
        (void)setpgid(child->pid, child->pid); /* here too: whoever comes first, kill() finds the group */
        child->out = out[0];
        child->err = err[0];
        (void)fcntl(child->out, F_SETFL, O_NONBLOCK);
        (void)fcntl(child->err, F_SETFL, O_NONBLOCK);
    } else {
        (void)close(out[0]);
        (void)close(err[0]);
    }
    (void)close(out[1]);
    (void)close(err[1]);
    errno = saved;
    return child->pid > 0 ? 0 : -1;
}

/* Whether it has ended; it is not reaped, so that its process group keeps its number. */
static bool has_ended(const struct child *child)
{
    siginfo_t info = {.si_pid = 0};

    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return errno != EINTR;
    return info.si_pid != 0;
}

/* What is there to read. Returns 1 while more may come, 0 at the end, -1 when it passes the cap. */
static int drain(int fd, struct buf *into, size_t max, bool drop_rest)
{
    char piece[512];
    ssize_t n;
    int result = 1;

    while ((n = read(fd, piece, sizeof(piece))) > 0) {
        if (into->len + (size_t)n <= max && buf_append(into, piece, (size_t)n) == 0)
            continue;
        if (!drop_rest) {
            result = -1;
            break;
        }
    }
    explicit_bzero(piece, sizeof(piece));
    if (n == 0)
        result = 0;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        result = 0;
    return result;
}

/* Read until both streams end, or the command itself has: an agent that stays behind may hold
 * them for ever. */
static int attend(const struct child *child, const char *what, unsigned timeout, struct buf *out,
                  struct buf *err, struct fault *fault)
{
    int64_t deadline = timeout == 0 ? INT64_MAX : clock_ms() + (int64_t)timeout * 1000;
    struct pollfd streams[2] = {{.fd = child->out, .events = POLLIN}, {.fd = child->err, .events = POLLIN}};
    bool ended;
    int more;

    do {
        ended = has_ended(child);
        (void)poll(streams, 2, ended ? 0 : streams[0].fd < 0 && streams[1].fd < 0 ? STEP_MS / 25 : STEP_MS);
        if (streams[0].fd >= 0 && (more = drain(child->out, out, SECRET_MAX, false)) <= 0) {
            if (more < 0)
                return refuse(fault, "%s prints too much; the password alone is right", what);
            streams[0].fd = -1; /* poll() passes it over */
        }
        if (streams[1].fd >= 0 && drain(child->err, err, STDERR_MAX, true) <= 0)
            streams[1].fd = -1;
        if (stop_requested())
            return fault_set(fault, FAULT_OF_MAILBOX, FAULT_RETRY, "secret", "ended by a signal");
        if (!ended && clock_ms() >= deadline)
            return refuse(fault, "%s has not ended within %u s", what, timeout);
    } while (!ended);
    return 0;
}

static void end_group(const struct child *child)
{
    int64_t until = clock_ms() + GRACE_MS;

    (void)kill(-child->pid, SIGTERM);
    while (!has_ended(child) && clock_ms() < until)
        (void)poll(NULL, 0, STEP_MS / 5);
    (void)kill(-child->pid, SIGKILL); /* its children too, whether it has ended or not */
}

static int judge(const char *what, int status, const struct buf *err, struct fault *fault)
{
    char quote[256];
    size_t line = err->len == 0 ? 0 : strcspn(err->data, "\r\n");
    const char *mark = line > 0 ? ": " : "";

    (void)fault_quote(quote, sizeof(quote), line > 0 ? err->data : "", line);
    if (WIFSIGNALED(status))
        return refuse(fault, "%s was ended by signal %d%s%s", what, WTERMSIG(status), mark, quote);
    if (WEXITSTATUS(status) != 0)
        return refuse(fault, "%s failed with status %d%s%s", what, WEXITSTATUS(status), mark, quote);
    return 0;
}

int command_output(const char *command, const char *what, unsigned timeout, struct buf *out,
                   struct fault *fault)
{
    struct child child;
    struct buf err;
    int status = 0;
    int result;

    if (start(&child, command) < 0)
        return refuse(fault, "%s cannot be run: %s", what, strerror(errno));
    buf_init(&err, STDERR_MAX);
    result = attend(&child, what, timeout, out, &err, fault);
    if (result < 0)
        end_group(&child);
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
        continue;
    (void)close(child.out);
    (void)close(child.err);
    if (result == 0)
        result = judge(what, status, &err, fault);
    buf_free(&err);
    return result;
}
