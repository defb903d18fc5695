/* A line with a delay: relays TCP connections to 127.0.0.1:PORT and holds every octet back for half the round
 * trip, in order and without limiting the throughput.
 *
 *     delay PORT RTT_MS [ON]   prints the port that it listens on, on 127.0.0.1 (ON, or any that is free)
 *
 * A TCP handshake over loopback costs nothing, over a line it costs a round trip; so the server is connected
 * to one and a half round trips after the client was accepted, and its greeting comes at two, as it would
 * over the line. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, HELD_MAX = 64 * 1024 * 1024 };

struct chunk {
    struct chunk *next;
    int64_t due;
    size_t length, sent; /* length 0: the end */
    char bytes[];
};

struct way {
    struct chunk *first, *last;
    size_t held;
    bool ended;
};

struct pair {
    struct pair *next;
    int fd[2];          /* client, server; -1: not connected yet, or closed */
    int64_t connect_at; /* 0: connected */
    struct way way[2];  /* way[0]: client to server */
};

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

static void watch(int epoll, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = what};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void set_nodelay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void append(struct way *way, struct chunk *chunk)
{
    chunk->next = NULL;
    if (way->last != NULL)
        way->last->next = chunk;
    else
        way->first = chunk;
    way->last = chunk;
    way->held += chunk->length;
}

/* Take in what has arrived. */
static void take(struct pair *pair, int side, int64_t half)
{
    static char bytes[CHUNK];
    struct way *way = &pair->way[side];
    while (pair->fd[side] >= 0 && !way->ended && way->held < HELD_MAX) {
        ssize_t n = read(pair->fd[side], bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        size_t length = n > 0 ? (size_t)n : 0;
        struct chunk *chunk = malloc(sizeof *chunk + length);
        if (chunk == NULL)
            die("malloc");
        chunk->due = now() + half;
        chunk->length = length;
        chunk->sent = 0;
        memcpy(chunk->bytes, bytes, length);
        append(way, chunk);
        way->ended = length == 0;
    }
}

/* Pass on what is due. Returns when the next is due, 0: nothing waits for the clock. */
static int64_t pass(struct pair *pair, int side, int64_t at)
{
    struct way *way = &pair->way[side];
    int to = pair->fd[1 - side];
    while (to >= 0 && way->first != NULL) {
        struct chunk *chunk = way->first;
        if (chunk->due > at)
            return chunk->due;
        if (chunk->length == 0) {
            shutdown(to, SHUT_WR);
        } else {
            ssize_t n = send(to, chunk->bytes + chunk->sent, chunk->length - chunk->sent, MSG_NOSIGNAL);
            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
            if (n < 0)
                n = (ssize_t)(chunk->length - chunk->sent);
            chunk->sent += (size_t)n;
            if (chunk->sent < chunk->length)
                return 0;
        }
        way->held -= chunk->length;
        way->first = chunk->next;
        if (way->first == NULL)
            way->last = NULL;
        free(chunk);
    }
    return 0;
}

static void connect_server(int epoll, struct pair *pair, const struct sockaddr_in *server)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    if (connect(fd, (const struct sockaddr *)server, sizeof *server) < 0)
        die("connect");
    set_nodelay(fd);
    pair->fd[1] = fd;
    pair->connect_at = 0;
    watch(epoll, fd, pair);
}

static bool finished(const struct pair *pair)
{
    return pair->connect_at == 0 && pair->way[0].ended && pair->way[1].ended && pair->way[0].first == NULL &&
           pair->way[1].first == NULL;
}

static void arm(int timer, int64_t at)
{
    struct itimerspec when = {.it_value = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* One turn over all connections. Returns when the next thing is due, 0: nothing is. */
static int64_t turn(int epoll, struct pair **pairs, const struct sockaddr_in *server, int64_t half)
{
    int64_t at = now(), next = 0;
    for (struct pair **link = pairs; *link != NULL;) {
        struct pair *pair = *link;
        if (pair->connect_at != 0 && pair->connect_at <= at)
            connect_server(epoll, pair, server);
        int64_t due[3] = {pair->connect_at, 0, 0};
        for (int side = 0; side < 2; side++) {
            take(pair, side, half);
            due[1 + side] = pass(pair, side, at);
        }
        for (int i = 0; i < 3; i++)
            if (due[i] != 0 && (next == 0 || due[i] < next))
                next = due[i];
        if (finished(pair)) {
            close(pair->fd[0]);
            close(pair->fd[1]);
            *link = pair->next;
            free(pair);
        } else {
            link = &pair->next;
        }
    }
    return next;
}

static int listen_on(const char *port)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)atoi(port)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 512) < 0 ||
        getsockname(fd, (struct sockaddr *)&here, &length) < 0)
        die("listen");
    printf("%u\n", ntohs(here.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: delay PORT RTT_MS [ON]\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)atoi(argv[1])),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int64_t half = (int64_t)(atof(argv[2]) * 1e6 / 2);
    int listener = listen_on(argc > 3 ? argv[3] : "0");
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct pair *pairs = NULL;
    watch(epoll, listener, &listener);
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = &timer};
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &wake);

    for (;;) {
        struct epoll_event events[64];
        uint64_t ticks;
        if (epoll_wait(epoll, events, 64, -1) < 0 && errno != EINTR)
            die("epoll_wait");
        if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
            die("timer");
        for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
            struct pair *pair = calloc(1, sizeof *pair);
            if (pair == NULL)
                die("calloc");
            *pair = (struct pair){.next = pairs, .fd = {fd, -1}, .connect_at = now() + 3 * half};
            set_nodelay(fd);
            pairs = pair;
            watch(epoll, fd, pair);
        }
        arm(timer, turn(epoll, &pairs, &server, half));
    }
}
