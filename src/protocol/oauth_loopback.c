/* A listener for one redirect, and a terminal to paste it into. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/stop.h"
#include "protocol/oauth_private.h"

#define CLIENTS 8 /* browsers open connections ahead, and ask for icons */
#define REQUEST_MAX 16384
#define PASTED_MAX 16384
#define CLIENT_MS 10000
#define SLICE_MS 200

struct client {
    int fd; /* -1: free */
    int64_t end;
    struct buf request;
};

struct oauth_loopback {
    int fd;
    int in;
    const char *state;
    struct buf pasted;
    struct client clients[CLIENTS];
};

int oauth_loopback_open(struct oauth_loopback **loopback, unsigned *port, struct fault *fault)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct oauth_loopback *made = calloc(1, sizeof(*made));
    socklen_t len = sizeof(address);
    size_t i;

    *loopback = NULL;
    if (made == NULL)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "oauth", "out of memory");
    for (i = 0; i < CLIENTS; i++) {
        made->clients[i].fd = -1;
        buf_init(&made->clients[i].request, REQUEST_MAX);
    }
    buf_init(&made->pasted, PASTED_MAX);
    made->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made->fd < 0 || bind(made->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(made->fd, CLIENTS) < 0 || getsockname(made->fd, (struct sockaddr *)&address, &len) < 0) {
        (void)fault_set(fault, FAULT_OF_MAILBOX, FAULT_RETRY, "oauth", "cannot listen on 127.0.0.1: %s",
                        strerror(errno));
        oauth_loopback_close(made);
        return -1;
    }
    *port = ntohs(address.sin_port);
    *loopback = made;
    return 0;
}

static void drop(struct client *client)
{
    if (client->fd >= 0)
        (void)close(client->fd);
    client->fd = -1;
    buf_free(&client->request);
}

void oauth_loopback_close(struct oauth_loopback *loopback)
{
    size_t i;

    if (loopback == NULL)
        return;
    for (i = 0; i < CLIENTS; i++)
        drop(&loopback->clients[i]);
    if (loopback->fd >= 0)
        (void)close(loopback->fd);
    buf_free(&loopback->pasted);
    free(loopback);
}

/* Answer and hang up. A page this small fits the socket's buffer; a browser that is gone is no matter. */
static void answer(struct client *client, const char *status, const char *words)
{
    char page[512];
    int len =
        snprintf(page, sizeof(page),
                 "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
                 "Referrer-Policy: no-referrer\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s\n",
                 status, strlen(words) + 1, words);

    (void)send(client->fd, page, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(client->fd, SHUT_WR);
    drop(client);
}

static enum oauth_redirect take_request(struct oauth_loopback *loopback, struct client *client, char *code,
                                        size_t size)
{
    enum oauth_redirect found = OAUTH_REDIRECT_NONE;

    /* The request line alone: "GET /?code=...&state=... HTTP/1.1". */
    client->request.data[strcspn(client->request.data, "\r\n")] = '\0';
    if (strncmp(client->request.data, "GET /?", 6) == 0)
        found = oauth_redirect_parse(client->request.data, loopback->state, false, code, size);
    if (found == OAUTH_REDIRECT_CODE)
        answer(client, "200 OK", "popferry has what it needs. This page can be closed.");
    else if (found == OAUTH_REDIRECT_DENIED)
        answer(client, "200 OK", "The login was refused. popferry says more.");
    else
        answer(client, "404 Not Found", "Nothing here.");
    return found;
}

static enum oauth_redirect read_client(struct oauth_loopback *loopback, struct client *client, char *code,
                                       size_t size)
{
    ssize_t got;

    if (buf_reserve(&client->request, 2048) < 0) {
        drop(client);
        return OAUTH_REDIRECT_NONE;
    }
    got = recv(client->fd, client->request.data + client->request.len, 2048, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return OAUTH_REDIRECT_NONE;
    if (got <= 0) {
        drop(client);
        return OAUTH_REDIRECT_NONE;
    }
    client->request.len += (size_t)got;
    client->request.data[client->request.len] = '\0';
    if (memmem(client->request.data, client->request.len, "\r\n\r\n", 4) == NULL)
        return OAUTH_REDIRECT_NONE;
    return take_request(loopback, client, code, size);
}

static void take_client(struct oauth_loopback *loopback)
{
    int fd = accept4(loopback->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    size_t i;

    for (i = 0; fd >= 0 && i < CLIENTS; i++) {
        if (loopback->clients[i].fd < 0) {
            loopback->clients[i].fd = fd;
            loopback->clients[i].end = clock_ms() + CLIENT_MS;
            return;
        }
    }
    if (fd >= 0)
        (void)close(fd);
}

/* A line that a person pasted. Too long a one is dropped. */
static enum oauth_redirect read_pasted(struct oauth_loopback *loopback, char *code, size_t size)
{
    struct buf *pasted = &loopback->pasted;
    enum oauth_redirect found = OAUTH_REDIRECT_NONE;
    ssize_t got;
    char *end;

    if (buf_reserve(pasted, 2048) < 0)
        buf_wipe(pasted);
    if (buf_reserve(pasted, 2048) < 0 || (got = read(loopback->in, pasted->data + pasted->len, 2048)) <= 0) {
        loopback->in = -1; /* nobody is there: the listener goes on */
        return found;
    }
    pasted->len += (size_t)got;
    pasted->data[pasted->len] = '\0';
    while (found == OAUTH_REDIRECT_NONE && (end = memchr(pasted->data, '\n', pasted->len)) != NULL) {
        *end = '\0';
        found = oauth_redirect_parse(pasted->data, loopback->state, true, code, size);
        buf_consume(pasted, (size_t)(end - pasted->data) + 1);
    }
    return found;
}

/* Wait one slice and take what came. */
static enum oauth_redirect step(struct oauth_loopback *loopback, char *code, size_t size)
{
    struct pollfd polled[CLIENTS + 2] = {{.fd = loopback->fd, .events = POLLIN},
                                         {.fd = loopback->in, .events = POLLIN}};
    enum oauth_redirect found = OAUTH_REDIRECT_NONE;
    size_t i;

    for (i = 0; i < CLIENTS; i++)
        polled[i + 2] = (struct pollfd){.fd = loopback->clients[i].fd, .events = POLLIN};
    if (poll(polled, CLIENTS + 2, SLICE_MS) < 0)
        return found;
    for (i = 0; i < CLIENTS && found == OAUTH_REDIRECT_NONE; i++) {
        struct client *client = &loopback->clients[i];
        if (client->fd >= 0 && polled[i + 2].revents != 0)
            found = read_client(loopback, client, code, size);
        else if (client->fd >= 0 && clock_ms() > client->end)
            drop(client);
    }
    if (found == OAUTH_REDIRECT_NONE && polled[1].revents != 0)
        found = read_pasted(loopback, code, size);
    if (found == OAUTH_REDIRECT_NONE && polled[0].revents != 0)
        take_client(loopback);
    return found;
}

int oauth_loopback_wait(struct oauth_loopback *loopback, int in, const char *state, int64_t seconds,
                        char *code, size_t size, struct fault *fault)
{
    int64_t end = clock_ms() + seconds * 1000;
    char quoted[128];

    loopback->in = in;
    loopback->state = state;
    while (clock_ms() < end) {
        enum oauth_redirect found = step(loopback, code, size);
        if (found == OAUTH_REDIRECT_CODE)
            return 0;
        if (found == OAUTH_REDIRECT_DENIED)
            return fault_set(fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "oauth", "the login was refused: %s",
                             fault_quote(quoted, sizeof(quoted), code, strlen(code)));
        if (stop_requested())
            return fault_set(fault, FAULT_OF_MAILBOX, FAULT_RETRY, "oauth", "interrupted");
    }
    return fault_set(fault, FAULT_OF_MAILBOX, FAULT_LOGIN, "oauth",
                     "no answer from the browser within %d minutes", (int)(seconds / 60));
}
