#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/stop.h"
#include "config/command.h"

bool secret_is_set(const struct config_secret *secret)
{
    return secret->password != NULL || secret->password_file != NULL || secret->password_command != NULL ||
           secret->credential != NULL;
}

#define refuse(fault, ...) fault_set(fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "secret", __VA_ARGS__)

/* One line without its end. what: where it comes from, for the fault. */
static int check_secret(struct buf *out, const char *what, struct fault *fault)
{
    size_t i;

    if (out->len > 0 && out->data[out->len - 1] == '\n') {
        out->data[--out->len] = '\0';
        if (out->len > 0 && out->data[out->len - 1] == '\r')
            out->data[--out->len] = '\0';
    }
    if (out->len == 0)
        return refuse(fault, "%s gives an empty password", what);
    for (i = 0; i < out->len; i++) {
        unsigned char c = (unsigned char)out->data[i];
        if (c == '\n')
            return refuse(fault, "%s gives more than one line; the password alone is right", what);
        if (c < 0x20 || c == 0x7F)
            return refuse(fault, "%s gives a password with a control character", what);
    }
    return 0;
}

/* The whole of an open file, up to the cap. */
static int read_secret(int fd, struct buf *out)
{
    ssize_t n;

    do {
        if (out->len >= SECRET_MAX || buf_reserve(out, 512) < 0) {
            errno = EFBIG;
            return -1;
        }
        n = read(fd, out->data + out->len, 512);
        if (n > 0)
            out->len += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    out->data[out->len] = '\0';
    return n < 0 ? -1 : 0;
}

/* own: the user keeps it, so nobody else may read it; a credential's directory is the service
 * manager's care. */
static int secret_from_file(const char *path, const char *what, bool own, struct buf *out,
                            struct fault *fault)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char quote[256];
    struct stat st;
    int result;

    (void)fault_quote(quote, sizeof(quote), path, strlen(path));
    if (fd < 0 || fstat(fd, &st) < 0) {
        result = refuse(fault, "%s %s cannot be read: %s", what, quote, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        result = refuse(fault, "%s %s is not a regular file", what, quote);
    } else if (own && (st.st_mode & (S_IRGRP | S_IROTH)) != 0) {
        result = refuse(fault, "%s %s can be read by others; chmod 600 is needed", what, quote);
    } else if (read_secret(fd, out) < 0) {
        result = refuse(fault, "%s %s cannot be read: %s", what, quote, strerror(errno));
    } else {
        result = check_secret(out, what, fault);
    }
    if (fd >= 0)
        (void)close(fd);
    return result;
}

static int secret_from_credential(const char *name, struct buf *out, struct fault *fault)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char *path = NULL;
    int result;

    if (directory == NULL || *directory == '\0')
        return refuse(
            fault,
            "credential needs $CREDENTIALS_DIRECTORY, which is not set; systemd sets it for LoadCredential=");
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "secret", "memory is short");
    result = secret_from_file(path, "credential", false, out, fault);
    free(path);
    return result;
}

/* Wait for one's turn; an end that is asked for meanwhile is seen. */
static int gate_enter(pthread_mutex_t *gate, struct fault *fault)
{
    struct timespec until;

    for (;;) {
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 250 * 1000 * 1000;
        until.tv_sec += until.tv_nsec / (1000 * 1000 * 1000);
        until.tv_nsec %= 1000 * 1000 * 1000;
        if (pthread_mutex_timedlock(gate, &until) == 0)
            return 0;
        if (stop_requested())
            return fault_set(fault, FAULT_OF_MAILBOX, FAULT_RETRY, "secret", "ended by a signal");
    }
}

static int secret_from_command(const char *command, const char *what, pthread_mutex_t *gate, unsigned timeout,
                               struct buf *out, struct fault *fault)
{
    int result;

    if (gate != NULL && gate_enter(gate, fault) < 0)
        return -1;
    result = command_output(command, what, timeout, out, fault);
    if (gate != NULL)
        (void)pthread_mutex_unlock(gate);
    return result < 0 ? -1 : check_secret(out, what, fault);
}

static int get(const struct config_secret *secret, unsigned timeout, struct buf *out, struct fault *fault)
{
    if (secret->password_command != NULL)
        return secret_from_command(secret->password_command, "password_command", secret->gate, timeout, out,
                                   fault);
    if (secret->password_file != NULL)
        return secret_from_file(secret->password_file, "password_file", true, out, fault);
    if (secret->credential != NULL)
        return secret_from_credential(secret->credential, out, fault);
    if (secret->password == NULL)
        return refuse(fault, "no password is written in the fetchrc");
    if (buf_puts(out, secret->password) < 0)
        return refuse(fault, "the password is too long");
    return check_secret(out, "password", fault);
}

int secret_get(const struct config_secret *secret, unsigned timeout, struct buf *out, struct fault *fault)
{
    int result;

    buf_wipe(out);
    result = get(secret, timeout, out, fault);
    if (result < 0)
        buf_wipe(out);
    return result;
}

int secret_command(const char *command, unsigned timeout, struct buf *out, struct fault *fault)
{
    int result;

    buf_wipe(out);
    result = secret_from_command(command, "the command", NULL, timeout, out, fault);
    if (result < 0)
        buf_wipe(out);
    return result;
}

int secret_token(const struct config_account *account, unsigned timeout, struct buf *out, struct fault *fault)
{
    int result;

    buf_wipe(out);
    if (account->token_command == NULL)
        return refuse(fault, "no token_command is written in the fetchrc");
    result = secret_from_command(account->token_command, "token_command", account->peer.secret.gate, timeout,
                                 out, fault);
    if (result < 0)
        buf_wipe(out);
    return result;
}
