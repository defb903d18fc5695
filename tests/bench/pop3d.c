/* A POP3 server that costs next to nothing: the near end of the bench where the client shall be the
 * bottleneck.
 *
 *     pop3d MESSAGES OCTETS    prints the port that it listens on, on 127.0.0.1, and the octets of a message
 *                              after its X-Bench-Id line
 *
 * Any user and password will do; user "uN" has the messages N * MESSAGES and up. They are made up on the way,
 * so nothing waits for a disk. Announces PIPELINING, UIDL, TOP, SASL PLAIN. QUIT commits the deletions;
 * SIGUSR1 brings every message back. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_MAX = 64 * 1024, OUT_FULL = 256 * 1024, USERS_MAX = 1024, HEAD_MAX = 512 };

struct client {
    int fd;
    bool closing, sasl;
    unsigned user, count;      /* count: messages of a POP3 session; 0 before the login */
    unsigned *number;          /* message of the session -> message of the user */
    bool *marked;
    char *listing;
    const char *body;          /* what of a message or listing is still to be sent */
    size_t body_left;
    size_t in_length, out_length, out_sent;
    char in[IN_MAX + 1], out[OUT_FULL + 64 * 1024];
};

static unsigned messages;
static size_t octets;
static bool *gone[USERS_MAX];
static char *filler; /* the body, CRLF lines, with its CRLF.CRLF */
static size_t filler_length;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *room(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL)
        die("calloc");
    return p;
}

static void say(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct client *c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t left = sizeof c->out - c->out_length;
    int n = vsnprintf(c->out + c->out_length, left, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= left)
        c->closing = true;
    else
        c->out_length += (size_t)n;
}

static size_t head(char *text, unsigned id)
{
    return (size_t)snprintf(text, HEAD_MAX,
                            "Return-Path: <sender@bench.example>\r\nFrom: Bench <sender@bench.example>\r\nTo: you@bench.example\r\n"
                            "Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <%u@bench.example>\r\nSubject: Message %u\r\n"
                            "X-Bench-Id: %u\r\n",
                            id, id, id);
}

static void log_in(struct client *c, const char *name)
{
    while (*name != '\0' && !isdigit((unsigned char)*name))
        name++;
    c->user = (unsigned)atoi(name) % USERS_MAX;
    if (gone[c->user] == NULL)
        gone[c->user] = room(messages, sizeof(bool));
    c->number = room(messages + 1, sizeof *c->number);
    c->marked = room(messages + 1, sizeof *c->marked);
    for (unsigned i = 0; i < messages; i++)
        if (!gone[c->user][i])
            c->number[++c->count] = i;
}

static const char *decode_user(const char *base64, char *text, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, value = 0;
    size_t length = 0;
    for (const char *d; *base64 != '\0' && (d = strchr(digits, *base64)) != NULL && length + 1 < size; base64++) {
        value = value << 6 | (unsigned)(d - digits);
        bits += 6;
        if (bits >= 8)
            text[length++] = (char)(value >> (bits -= 8) & 255);
    }
    text[length] = '\0';
    return text + strlen(text) + 1; /* authzid NUL authcid NUL password */
}

static unsigned message(struct client *c, const char *line)
{
    const char *space = strchr(line, ' ');
    unsigned n = space != NULL ? (unsigned)atoi(space + 1) : 0;
    if (n >= 1 && n <= c->count && !c->marked[n])
        return n;
    say(c, "-ERR no such message\r\n");
    return 0;
}

static void list(struct client *c, const char *line, bool uids)
{
    char text[HEAD_MAX];
    bool one = strchr(line, ' ') != NULL;
    unsigned first = 1, last = c->count;
    if (one && (first = last = message(c, line)) == 0)
        return;
    free(c->listing);
    char *end = c->listing = room((size_t)(last - first + 2), 32);
    end += one ? sprintf(end, "+OK ") : sprintf(end, "+OK listing follows\r\n");
    for (unsigned n = first; n <= last; n++) {
        unsigned id = c->user * messages + c->number[n];
        if (c->marked[n])
            continue;
        if (uids)
            end += sprintf(end, "%u bench%010u\r\n", n, id);
        else
            end += sprintf(end, "%u %zu\r\n", n, head(text, id) + filler_length - 3);
    }
    if (!one)
        end += sprintf(end, ".\r\n");
    c->body = c->listing;
    c->body_left = (size_t)(end - c->listing);
}

static void retrieve(struct client *c, const char *line, bool top)
{
    unsigned n = message(c, line);
    if (n == 0)
        return;
    char text[HEAD_MAX];
    head(text, c->user * messages + c->number[n]);
    say(c, "+OK\r\n%s", text);
    if (top) {
        say(c, "\r\n.\r\n");
    } else {
        c->body = filler;
        c->body_left = filler_length;
    }
}

static void quit(struct client *c)
{
    for (unsigned n = 1; n <= c->count; n++)
        if (c->marked[n])
            gone[c->user][c->number[n]] = true;
    say(c, "+OK bye\r\n");
    c->closing = true;
}

static bool is(const char *line, const char *verb)
{
    size_t length = strlen(verb);
    return strncasecmp(line, verb, length) == 0 && (line[length] == '\0' || line[length] == ' ');
}

static void log_in_plain(struct client *c, const char *base64)
{
    char text[256];
    log_in(c, decode_user(base64, text, sizeof text));
    say(c, "+OK Logged in.\r\n");
}

static void before_login(struct client *c, const char *line)
{
    if (c->sasl) {
        c->sasl = false;
        log_in_plain(c, line);
    } else if (is(line, "AUTH") && strlen(line) > 11) {
        log_in_plain(c, line + 11);
    } else if (is(line, "AUTH")) {
        c->sasl = true;
        say(c, "+ \r\n");
    } else if (is(line, "USER")) {
        c->user = 0;
        for (const char *d = line; *d != '\0'; d++)
            if (isdigit((unsigned char)*d))
                c->user = c->user * 10 + (unsigned)(*d - '0');
        say(c, "+OK\r\n");
    } else if (is(line, "PASS")) {
        char name[16];
        snprintf(name, sizeof name, "u%u", c->user);
        log_in(c, name);
        say(c, "+OK Logged in.\r\n");
    } else if (is(line, "QUIT")) {
        quit(c);
    } else {
        say(c, "-ERR log in first\r\n");
    }
}

static void command(struct client *c, const char *line)
{
    if (is(line, "CAPA"))
        say(c, "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nUSER\r\nSASL PLAIN\r\n.\r\n");
    else if (c->number == NULL)
        before_login(c, line);
    else if (is(line, "STAT"))
        say(c, "+OK %u %zu\r\n", c->count, c->count * octets);
    else if (is(line, "LIST"))
        list(c, line, false);
    else if (is(line, "UIDL"))
        list(c, line, true);
    else if (is(line, "RETR"))
        retrieve(c, line, false);
    else if (is(line, "TOP"))
        retrieve(c, line, true);
    else if (is(line, "DELE")) {
        unsigned n = message(c, line);
        if (n != 0) {
            c->marked[n] = true;
            say(c, "+OK\r\n");
        }
    } else if (is(line, "QUIT"))
        quit(c);
    else if (is(line, "NOOP") || is(line, "LAST"))
        say(c, "+OK 0\r\n");
    else if (is(line, "RSET")) {
        memset(c->marked, 0, messages + 1);
        say(c, "+OK\r\n");
    } else
        say(c, "-ERR unknown\r\n");
}

/* Copy what is left of a body behind the answers. Returns false while the buffer is full. */
static bool body(struct client *c)
{
    size_t n = sizeof c->out - c->out_length;
    if (n > c->body_left)
        n = c->body_left;
    if (n > 0)
        memcpy(c->out + c->out_length, c->body, n);
    c->out_length += n;
    c->body += n;
    c->body_left -= n;
    return c->body_left == 0;
}

static bool flush_out(struct client *c)
{
    while (c->out_sent < c->out_length) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_length - c->out_sent, MSG_NOSIGNAL);
        if (n < 0)
            return false;
        c->out_sent += (size_t)n;
    }
    c->out_length = c->out_sent = 0;
    return true;
}

/* Serve what has come in. Returns false when the session is over. */
static bool serve(struct client *c)
{
    for (;;) {
        size_t used = 0;
        char *end = c->in;
        while (!c->closing && c->out_length < OUT_FULL && (c->body_left == 0 || body(c)) &&
               (end = memchr(c->in + used, '\n', c->in_length - used)) != NULL) {
            *end = '\0';
            if (end > c->in + used && end[-1] == '\r')
                end[-1] = '\0';
            command(c, c->in + used);
            used = (size_t)(end + 1 - c->in);
        }
        memmove(c->in, c->in + used, c->in_length - used);
        c->in_length -= used;
        bool more = c->body_left > 0 || c->out_length >= OUT_FULL;
        if (!flush_out(c))
            return errno == EAGAIN;
        if (c->closing)
            return false;
        if (more)
            continue;
        ssize_t n = read(c->fd, c->in + c->in_length, IN_MAX - c->in_length);
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        c->in_length += (size_t)n;
    }
}

static void make_filler(void)
{
    char text[HEAD_MAX];
    size_t wanted = octets > head(text, 0) + 16 ? octets - head(text, 0) : 16;
    filler = room(wanted + 128, 1);
    memcpy(filler, "\r\n", 2);
    filler_length = 2;
    while (filler_length < wanted) {
        size_t width = wanted - filler_length < 80 ? wanted - filler_length : 78;
        for (size_t i = 0; i + 2 < width; i++)
            filler[filler_length + i] = (char)('a' + (filler_length + i * 5) % 26);
        filler_length += width > 2 ? width - 2 : 0;
        memcpy(filler + filler_length, "\r\n", 2);
        filler_length += 2;
    }
    memcpy(filler + filler_length, ".\r\n", 3);
    filler_length += 3;
}

static int listen_on_any(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 512) < 0 ||
        getsockname(fd, (struct sockaddr *)&here, &length) < 0)
        die("listen");
    printf("%u %zu\n", ntohs(here.sin_port), filler_length - 3);
    fflush(stdout);
    return fd;
}

static void welcome(int epoll, int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct client *c = room(1, sizeof *c);
        c->fd = fd;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd,
                  &(struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c});
        say(c, "+OK bench\r\n");
        flush_out(c);
    }
}

static void bring_back(int signals)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) > 0)
        for (unsigned user = 0; user < USERS_MAX; user++)
            if (gone[user] != NULL)
                memset(gone[user], 0, messages);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: pop3d MESSAGES OCTETS\n");
        return 64;
    }
    messages = (unsigned)atoi(argv[1]);
    octets = (size_t)atol(argv[2]);
    make_filler();
    sigset_t again;
    sigemptyset(&again);
    sigaddset(&again, SIGUSR1);
    sigprocmask(SIG_BLOCK, &again, NULL);
    int signals = signalfd(-1, &again, SFD_CLOEXEC);
    int listener = listen_on_any();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int *own[] = {&listener, &signals};
    for (int i = 0; i < 2; i++)
        epoll_ctl(epoll, EPOLL_CTL_ADD, *own[i],
                  &(struct epoll_event){.events = EPOLLIN, .data.ptr = own[i]});

    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            continue;
        struct client *c = event.data.ptr;
        if (event.data.ptr == &listener) {
            welcome(epoll, listener);
        } else if (event.data.ptr == &signals) {
            bring_back(signals);
        } else if (!serve(c)) {
            close(c->fd);
            free(c->number);
            free(c->marked);
            free(c->listing);
            free(c);
        }
    }
}
