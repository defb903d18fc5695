/* An SMTP server that throws mail away and keeps a tally: the far end of the bench.
 *
 *     smtpsink TALLY [MS]      prints the port that it listens on, on 127.0.0.1
 *
 * Announces PIPELINING, SIZE and 8BITMIME; answers the final dot after MS milliseconds (default 0), each
 * connection on its own. On SIGTERM it writes one line for each message to TALLY: the number of its
 * X-Bench-Id header (-1: none), and the octets after that line. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_MAX = 256 * 1024, OUT_MAX = 64 * 1024, HEAD_MAX = 16 * 1024 };

struct client {
    struct client *next;
    int fd;
    bool in_data, closing, dead;
    int64_t answer_at; /* 0: no answer is held back */
    size_t in_length, out_length;
    size_t head_length; /* of the message: kept to find its number in */
    int64_t octets;
    char head[HEAD_MAX + 1], in[IN_MAX], out[OUT_MAX];
};

static struct client *clients;
static int64_t pause_ns;
static struct tally { long id; int64_t octets; } *tallies;
static size_t tally_count, tally_room;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void reply(struct client *c, const char *text)
{
    size_t length = strlen(text);
    if (c->out_length + length > OUT_MAX)
        c->dead = true;
    else
        memcpy(c->out + c->out_length, text, length), c->out_length += length;
}

static void count_message(struct client *c)
{
    struct tally tally = {-1, 0};
    c->head[c->head_length] = '\0';
    const char *id = memmem(c->head, c->head_length, "X-Bench-Id: ", 12);
    const char *end = id != NULL ? memchr(id, '\n', c->head_length - (size_t)(id - c->head)) : NULL;
    if (end != NULL)
        tally = (struct tally){atol(id + 12), c->octets - (end + 1 - c->head)};
    if (tally_count == tally_room) {
        tally_room = tally_room * 2 + 1024;
        tallies = realloc(tallies, tally_room * sizeof *tallies);
        if (tallies == NULL)
            die("realloc");
    }
    tallies[tally_count++] = tally;
}

static void keep_head(struct client *c, const char *bytes, size_t length)
{
    size_t room = HEAD_MAX - c->head_length;
    memcpy(c->head + c->head_length, bytes, length < room ? length : room);
    c->head_length += length < room ? length : room;
    c->octets += (int64_t)length;
}

/* Take octets of a message. Returns how many were used. */
static size_t body(struct client *c, const char *bytes, size_t length)
{
    /* The line end before the dot may have been taken already, in the last bite: keep four octets back. */
    const char *end = memmem(bytes, length, "\r\n.\r\n", 5);
    if (end == NULL && c->octets == 0 && length >= 3 && memcmp(bytes, ".\r\n", 3) == 0)
        end = bytes - 2;
    if (end == NULL) {
        size_t used = length > 4 ? length - 4 : 0;
        keep_head(c, bytes, used);
        return used;
    }
    keep_head(c, bytes, (size_t)(end + 2 - bytes));
    count_message(c);
    c->in_data = false;
    if (pause_ns != 0)
        c->answer_at = now() + pause_ns;
    else
        reply(c, "250 2.0.0 Ok: queued\r\n");
    return (size_t)(end + 5 - bytes);
}

static void command(struct client *c, const char *line)
{
    if (strncasecmp(line, "EHLO", 4) == 0 || strncasecmp(line, "LHLO", 4) == 0) {
        reply(c, "250-sink\r\n250-PIPELINING\r\n250-SIZE 0\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n");
    } else if (strncasecmp(line, "DATA", 4) == 0) {
        c->in_data = true;
        c->head_length = 0;
        c->octets = 0;
        reply(c, "354 Go ahead\r\n");
    } else if (strncasecmp(line, "QUIT", 4) == 0) {
        c->closing = true;
        reply(c, "221 2.0.0 Bye\r\n");
    } else {
        reply(c, "250 2.1.0 Ok\r\n");
    }
}

static void work(struct client *c)
{
    size_t used = 0;
    while (c->answer_at == 0 && !c->closing && used < c->in_length) {
        char *bytes = c->in + used;
        size_t length = c->in_length - used;
        if (c->in_data) {
            size_t n = body(c, bytes, length);
            if (n == 0)
                break;
            used += n;
            continue;
        }
        char *end = memchr(bytes, '\n', length);
        if (end == NULL)
            break;
        *end = '\0';
        command(c, bytes);
        used += (size_t)(end + 1 - bytes);
    }
    memmove(c->in, c->in + used, c->in_length - used);
    c->in_length -= used;
}

static void flush_out(struct client *c)
{
    if (c->out_length == 0)
        return;
    ssize_t n = send(c->fd, c->out, c->out_length, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        c->dead = true;
    if (n > 0) {
        memmove(c->out, c->out + n, c->out_length - (size_t)n);
        c->out_length -= (size_t)n;
    }
}

static void serve(struct client *c)
{
    for (;;) {
        work(c);
        if (c->answer_at == 0 && c->in_length == IN_MAX && !c->in_data)
            c->dead = true;
        if (c->dead || c->closing || c->in_length == IN_MAX)
            break;
        ssize_t n = read(c->fd, c->in + c->in_length, IN_MAX - c->in_length);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            c->dead = true;
        if (n <= 0)
            break;
        c->in_length += (size_t)n;
    }
    flush_out(c);
    if (c->closing && c->out_length == 0)
        c->dead = true;
}

/* Give the answers that are due, drop who has gone. Returns nanoseconds until the next one, -1: none. */
static int64_t turn(void)
{
    int64_t at = now(), next = 0;
    for (struct client **link = &clients; *link != NULL;) {
        struct client *c = *link;
        if (c->answer_at != 0 && c->answer_at <= at && !c->dead) {
            c->answer_at = 0;
            reply(c, "250 2.0.0 Ok: queued\r\n");
            serve(c);
        }
        if (c->answer_at != 0 && (next == 0 || c->answer_at < next))
            next = c->answer_at;
        if (c->dead) {
            close(c->fd);
            *link = c->next;
            free(c);
        } else {
            link = &c->next;
        }
    }
    return next == 0 ? -1 : next - at;
}

static void write_tally(const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        die(path);
    for (size_t i = 0; i < tally_count; i++)
        fprintf(file, "%ld %lld\n", tallies[i].id, (long long)tallies[i].octets);
    if (fclose(file) != 0)
        die(path);
    exit(0);
}

static int listen_on_any(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 512) < 0 ||
        getsockname(fd, (struct sockaddr *)&here, &length) < 0)
        die("listen");
    printf("%u\n", ntohs(here.sin_port));
    fflush(stdout);
    return fd;
}

static void welcome(int epoll, int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct client *c = malloc(sizeof *c);
        if (c == NULL)
            die("malloc");
        memset(c, 0, offsetof(struct client, head));
        c->fd = fd;
        c->next = clients;
        clients = c;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        reply(c, "220 sink ESMTP\r\n");
        flush_out(c);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: smtpsink TALLY [MS]\n");
        return 64;
    }
    pause_ns = argc > 2 ? (int64_t)(atof(argv[2]) * 1e6) : 0;
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    int stop = signalfd(-1, &term, SFD_CLOEXEC);
    int listener = listen_on_any();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int *own[] = {&listener, &stop};
    for (int i = 0; i < 2; i++)
        epoll_ctl(epoll, EPOLL_CTL_ADD, *own[i],
                  &(struct epoll_event){.events = EPOLLIN, .data.ptr = own[i]});

    for (int64_t wait = -1;;) {
        struct epoll_event events[64];
        struct timespec pause = {wait / 1000000000, wait % 1000000000};
        int n = epoll_pwait2(epoll, events, 64, wait < 0 ? NULL : &pause, NULL);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &stop)
                write_tally(argv[1]);
            else if (events[i].data.ptr == &listener)
                welcome(epoll, listener);
            else
                serve(events[i].data.ptr);
        }
        wait = turn();
    }
}
