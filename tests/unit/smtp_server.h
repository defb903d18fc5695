/* A scripted SMTP server in a thread of its own: it says and expects what a dialogue on a page would show.
 *
 *     "S: 220 hello"     say this line
 *     "s: 250 o"         say these octets, without a line end
 *     "C: NOOP"          expect this line and nothing else
 *     "c: text"          expect these octets
 *     "text N"           expect N octets and look at none
 *     "lines N TEXT"     expect TEXT N times
 *     "rest"             read what comes until nothing does for 300 ms
 *     "narrow"           a small receive buffer from now on
 *     "quiet"            nothing comes for 60 ms
 *     "wait N"           let N ms go by
 *     "repeat N TEXT"    say TEXT, with a line end, N times
 *     "close" "reset"    end the connection (a reset throws away what was not read)
 *     "eof"              the client closes without another octet
 *
 * Whatever differs is remembered in `failure`, and the connection ended. */
#ifndef TESTS_UNIT_SMTP_SERVER_H
#define TESTS_UNIT_SMTP_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct server {
    const char *const *script; /* ends with NULL */
    int listener;
    unsigned port;
    pthread_t thread;
    char failure[1024];
};

static void server_fails(struct server *server, const char *step, const char *got, size_t len)
{
    (void)snprintf(server->failure, sizeof(server->failure), "at \"%.200s\" came \"%.*s\"", step,
                   (int)(len < 600 ? len : 600), got);
}

/* Read exactly len octets; returns how many came within 5 s. */
static size_t server_read(int sock, char *data, size_t len)
{
    size_t have = 0;

    while (have < len) {
        struct pollfd ready = {.fd = sock, .events = POLLIN};
        ssize_t n = poll(&ready, 1, 5000) > 0 ? read(sock, data + have, len - have) : 0;
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    return have;
}

static bool server_expects(struct server *server, int sock, const char *step, const char *text, size_t len)
{
    char *got = calloc(1, len + 1);
    size_t have = server_read(sock, got, len);
    bool same = have == len && memcmp(got, text, len) == 0;

    if (!same)
        server_fails(server, step, got, have);
    free(got);
    return same;
}

static bool server_skips(struct server *server, int sock, const char *step, size_t len)
{
    char *got = malloc(len);
    bool came = server_read(sock, got, len) == len;

    free(got);
    if (!came)
        server_fails(server, step, "less", 4);
    return came;
}

static bool server_expects_lines(struct server *server, int sock, const char *step)
{
    char *text;
    long count = strtol(step + 6, &text, 10);
    bool same = true;

    for (; same && count > 0; count--)
        same = server_expects(server, sock, step, text + 1, strlen(text + 1));
    return same;
}

static void server_reads_rest(int sock)
{
    struct pollfd ready = {.fd = sock, .events = POLLIN};
    char got[4096];

    while (poll(&ready, 1, 300) > 0 && read(sock, got, sizeof(got)) > 0)
        ;
}

static bool server_hears_nothing(struct server *server, int sock, const char *step, int ms)
{
    struct pollfd ready = {.fd = sock, .events = POLLIN};
    char got[600];
    ssize_t n;

    if (poll(&ready, 1, ms) == 0)
        return ms < 1000; /* "eof" must come */
    n = read(sock, got, sizeof(got));
    if (n > 0)
        server_fails(server, step, got, (size_t)n);
    return n <= 0;
}

static void server_says(int sock, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(sock, text, len);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static bool server_line(struct server *server, int sock, const char *step)
{
    char line[4096];
    size_t len = (size_t)snprintf(line, sizeof(line), "%s\r\n", step + 3);

    if (step[0] == 'S')
        server_says(sock, line, len);
    return step[0] == 'S' || server_expects(server, sock, step, line, len);
}

static void server_repeats(int sock, const char *step)
{
    char *text;
    long count = strtol(step, &text, 10);

    for (; count > 0; count--) {
        server_says(sock, text + 1, strlen(text + 1));
        server_says(sock, "\r\n", 2);
    }
}

static bool server_step(struct server *server, int sock, const char *step)
{
    static const int narrow = 4096;
    static const struct linger abort_now = {.l_onoff = 1, .l_linger = 0};

    if (strncmp(step, "S: ", 3) == 0 || strncmp(step, "C: ", 3) == 0)
        return server_line(server, sock, step);
    if (strncmp(step, "c: ", 3) == 0)
        return server_expects(server, sock, step, step + 3, strlen(step + 3));
    if (strncmp(step, "text ", 5) == 0)
        return server_skips(server, sock, step, (size_t)strtoul(step + 5, NULL, 10));
    if (strncmp(step, "lines ", 6) == 0)
        return server_expects_lines(server, sock, step);
    if (strcmp(step, "quiet") == 0)
        return server_hears_nothing(server, sock, step, 60);
    if (strcmp(step, "eof") == 0)
        return server_hears_nothing(server, sock, step, 5000);
    if (strncmp(step, "s: ", 3) == 0)
        server_says(sock, step + 3, strlen(step + 3));
    else if (strncmp(step, "repeat ", 7) == 0)
        server_repeats(sock, step + 7);
    else if (strncmp(step, "wait ", 5) == 0)
        (void)usleep((useconds_t)strtoul(step + 5, NULL, 10) * 1000);
    else if (strcmp(step, "rest") == 0)
        server_reads_rest(sock);
    else if (strcmp(step, "narrow") == 0)
        (void)setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow));
    else if (strcmp(step, "reset") == 0)
        (void)setsockopt(sock, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
    return strcmp(step, "reset") != 0 && strcmp(step, "close") != 0;
}

static void *server_thread(void *argument)
{
    struct server *server = argument;
    int sock = accept(server->listener, NULL, NULL);
    const char *const *step;
    int yes = 1;

    (void)setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    for (step = server->script; *step != NULL; step++)
        if (!server_step(server, sock, *step))
            break;
    (void)close(sock);
    return NULL;
}

static void server_start(struct server *server, const char *const *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    *server = (struct server){.script = script, .listener = socket(AF_INET, SOCK_STREAM, 0)};
    if (bind(server->listener, (struct sockaddr *)&address, len) < 0 || listen(server->listener, 1) < 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &len) < 0)
        abort();
    server->port = ntohs(address.sin_port);
    if (pthread_create(&server->thread, NULL, server_thread, server) != 0)
        abort();
}

static void server_end(struct server *server)
{
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
}

#endif
