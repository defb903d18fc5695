#include "protocol/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stop.h"
#include "protocol/wire_private.h"
#include "report/log.h"

#define RX_FIRST (16 * 1024) /* a hundred connections wait at the same time: small until a reply fills it */
#define RX_USUAL (64 * 1024)
#define RX_MAX (256 * 1024)   /* while sending waits for room */
#define OUT_MAX (1024 * 1024) /* commands not sent yet */
#define OUT_FLUSH (64 * 1024) /* so many are sent without being asked to */
#define OUT_JOIN (16 * 1024)  /* octets put together for one write, and one TLS record */
#define LINE_DROP_MAX (16 * 1024 * 1024)
#define PROGRESS 1024
#define SLICE_MS 250 /* how late a stop may be noticed */
#define STOP_MS 5000

int wire_buffers_init(struct wire *wire)
{
    buf_init(&wire->out, OUT_MAX);
    wire->rx = malloc(RX_FIRST);
    if (wire->rx == NULL)
        return -1;
    wire->rx_size = RX_FIRST;
    return 0;
}

/* ---- waiting, and what may go wrong meanwhile ---- */

void wire_waiting_for(struct wire *wire, const char *stage, unsigned number)
{
    wire->stage = stage;
    wire->number = number;
}

void wire_mark(struct wire *wire)
{
    wire->window_start = clock_ms();
    wire->window_received = wire->received;
}

static const char *waited_for(const struct wire *wire, char text[64])
{
    if (wire->number > 0)
        (void)snprintf(text, 64, "%s %u", wire->stage, wire->number);
    else
        (void)snprintf(text, 64, "%s", wire->stage);
    return text;
}

static int closed_fault(const struct wire *wire, struct fault *fault)
{
    char text[64];

    return fault_set(fault, wire->scope, FAULT_RETRY, wire->stage,
                     "%s closed the connection (while waiting for the reply to %s)%s%s", wire->host,
                     waited_for(wire, text), wire->complaint[0] != '\0' ? ", having said: " : "",
                     wire->complaint);
}

static bool stopped(const struct wire *wire)
{
    return wire->stop_at != 0 && clock_ms() >= wire->stop_at;
}

static int late_fault(const struct wire *wire, unsigned timeout, bool sending, struct fault *fault)
{
    char text[64];

    (void)waited_for(wire, text);
    if (stopped(wire))
        return fault_set(fault, wire->scope, FAULT_RETRY, wire->stage, "stopped by a signal (%s)", text);
    if (sending)
        return fault_set(fault, wire->scope, FAULT_RETRY, wire->stage, "%s took nothing for %u s (%s)",
                         wire->host, timeout, text);
    return fault_set(fault, wire->scope, FAULT_RETRY, wire->stage, "%s did not answer within %u s (%s)",
                     wire->host, timeout, text);
}

/* Wait for `events` until `deadline` (clock_ms()), or for what is left after a stop was asked for. Returns
 * what poll(2) saw, 0 when the time is over. */
static int wait_until(struct wire *wire, short events, int64_t deadline)
{
    for (;;) {
        struct pollfd ready = {.fd = wire->socket, .events = events};
        int64_t now = clock_ms();
        int64_t left;

        if (wire->stop_at == 0 && stop_requested())
            wire->stop_at = now + STOP_MS;
        left = (wire->stop_at != 0 && wire->stop_at < deadline ? wire->stop_at : deadline) - now;
        if (left <= 0)
            return 0;
        if (poll(&ready, 1, left < SLICE_MS ? (int)left : SLICE_MS) > 0)
            return ready.revents;
    }
}

/* ---- input ---- */

/* Room behind rx_end, in a buffer of at most `limit` octets. */
static bool make_room(struct wire *wire, size_t limit)
{
    size_t waiting = wire->rx_end - wire->rx_start;
    char *larger;

    if (wire->rx_start > 0) {
        memmove(wire->rx, wire->rx + wire->rx_start, waiting);
        wire->rx_start = 0;
        wire->rx_end = waiting;
    }
    if (wire->rx_end < wire->rx_size && !(wire->rx_filled && wire->rx_size < limit))
        return true;
    if (wire->rx_size < limit && (larger = realloc(wire->rx, wire->rx_size * 2)) != NULL) {
        wire->rx = larger;
        wire->rx_size *= 2;
    }
    return wire->rx_end < wire->rx_size;
}

/* Read what has come, without waiting. 1: some octets; 0: none, or no room; -1: no more will come. */
static int fill(struct wire *wire, size_t limit)
{
    size_t room;
    size_t n = 0;
    CURLcode code;

    if (wire->closed)
        return -1;
    if (!make_room(wire, limit))
        return 0;
    room = wire->rx_size - wire->rx_end;
    code = curl_easy_recv(wire->easy, wire->rx + wire->rx_end, room, &n);
    if (code == CURLE_AGAIN)
        return 0;
    if (code != CURLE_OK || n == 0) {
        wire->closed = true;
        return -1;
    }
    wire->rx_filled = n == room;
    wire->rx_end += n;
    wire->received += n;
    if (wire->received - wire->window_received >= PROGRESS)
        wire_mark(wire);
    return 1;
}

/* At least one more octet. deadline 0: the 1 KiB rule decides. */
static int await_octets(struct wire *wire, int64_t deadline, unsigned timeout, struct fault *fault)
{
    for (;;) {
        int got = fill(wire, RX_USUAL);
        int64_t until;

        if (got > 0)
            return 0;
        if (got < 0 || wire->broken)
            return closed_fault(wire, fault);
        until = deadline != 0 ? deadline : wire->window_start + (int64_t)timeout * 1000;
        if (wait_until(wire, POLLIN, until) == 0)
            return late_fault(wire, timeout, false, fault);
    }
}

/* The line that ends `n` octets behind rx_start, at its LF. dropped: it was longer, and only WIRE_LINE_MAX
 * octets are left. */
static void hand_out_line(struct wire *wire, size_t n, bool dropped, char **line, size_t *len, bool *cut)
{
    char *start = wire->rx + wire->rx_start;
    size_t keep = n;

    if (!dropped && keep > 0 && start[keep - 1] == '\r')
        keep--;
    if (keep > WIRE_LINE_MAX) {
        keep = WIRE_LINE_MAX;
        dropped = true;
    }
    start[keep] = '\0';
    wire->rx_start += n + 1;
    *line = start;
    *len = keep;
    if (cut != NULL)
        *cut = dropped;
}

static int next_line(struct wire *wire, char **line, size_t *len, bool *cut, int64_t deadline,
                     unsigned timeout, struct fault *fault)
{
    size_t scanned = 0;
    size_t dropped = 0;

    if (wire_flush(wire, fault) < 0)
        return -1;
    for (;;) {
        size_t waiting = wire->rx_end - wire->rx_start;
        char *start = wire->rx + wire->rx_start;
        const char *end = waiting > scanned ? memchr(start + scanned, '\n', waiting - scanned) : NULL;

        if (end != NULL) {
            hand_out_line(wire, (size_t)(end - start), dropped > 0, line, len, cut);
            return 0;
        }
        scanned = waiting;
        if (scanned > WIRE_LINE_MAX + 1) {
            dropped += scanned - WIRE_LINE_MAX;
            scanned = WIRE_LINE_MAX;
            wire->rx_end = wire->rx_start + scanned;
        }
        if (dropped > LINE_DROP_MAX)
            return fault_set(fault, wire->scope, FAULT_PROTOCOL, wire->stage, "%s sent a line without end",
                             wire->host);
        if (await_octets(wire, deadline, timeout, fault) < 0)
            return -1;
    }
}

static void note_complaint(struct wire *wire, const char *line, size_t len)
{
    wire->complaint[0] = '\0';
    if (len >= 4 && (memcmp(line, "-ERR", 4) == 0 || memcmp(line, "421", 3) == 0))
        (void)fault_quote(wire->complaint, sizeof(wire->complaint), line, len);
}

int wire_line(struct wire *wire, char **line, size_t *len, bool *cut, unsigned timeout, struct fault *fault)
{
    unsigned seconds = timeout != 0 ? timeout : wire->timeout;

    if (next_line(wire, line, len, cut, clock_ms() + (int64_t)seconds * 1000, seconds, fault) < 0)
        return -1;
    if (wire->authenticating)
        *len = wire_mask(wire, *line, *len);
    note_complaint(wire, *line, *len);
    if (wire->tells)
        log_dialogue(wire->tag, '<', *line, *len);
    return 0;
}

int wire_answer_line(struct wire *wire, char **line, size_t *len, bool *cut, struct fault *fault)
{
    if (next_line(wire, line, len, cut, 0, wire->timeout, fault) < 0)
        return -1;
    if (wire->tells)
        log_dialogue(wire->tag, '<', *line, *len);
    return 0;
}

int wire_peek(struct wire *wire, const char **data, size_t *len, struct fault *fault)
{
    if (wire_flush(wire, fault) < 0)
        return -1;
    if (wire->rx_start == wire->rx_end && await_octets(wire, 0, wire->timeout, fault) < 0)
        return -1;
    *data = wire->rx + wire->rx_start;
    *len = wire->rx_end - wire->rx_start;
    return 0;
}

void wire_take(struct wire *wire, size_t n)
{
    wire->rx_start += n;
}

int wire_early_octets(struct wire *wire, struct fault *fault)
{
    int got = wire->rx_start < wire->rx_end ? 1 : fill(wire, RX_USUAL);

    return got < 0 ? closed_fault(wire, fault) : got;
}

uint64_t wire_received(const struct wire *wire)
{
    return wire->received;
}

/* ---- output ---- */

/* Sending failed. A server that refused in the middle has said why before it closed: keep that for
 * wire_line(). */
static int broken_by_peer(struct wire *wire, struct fault *fault)
{
    while (fill(wire, RX_MAX) > 0)
        ;
    wire->broken = true;
    return closed_fault(wire, fault);
}

/* Wait for room, reading meanwhile: a peer that cannot get rid of its replies may not take more commands. */
static int await_room(struct wire *wire, int64_t deadline, struct fault *fault)
{
    bool readable = !wire->closed && make_room(wire, RX_MAX);
    int seen = wait_until(wire, (short)(POLLOUT | (readable ? POLLIN : 0)), deadline);

    if (seen == 0) {
        wire->broken = true;
        return late_fault(wire, wire->timeout, true, fault);
    }
    if (readable && (seen & POLLIN) != 0)
        (void)fill(wire, RX_MAX);
    return 0;
}

static int send_all(struct wire *wire, const char *data, size_t len, struct fault *fault)
{
    int64_t since = 0;
    size_t moved = 0;  /* in this call */
    size_t marked = 0; /* of them when the present KiB began */

    if (wire->broken)
        return closed_fault(wire, fault);
    while (moved < len) {
        /* One TLS record at a time: progress shows, and a repeated call has the same pointer and length. */
        size_t chunk = len - moved > OUT_JOIN && wire->tls != TLS_NONE ? OUT_JOIN : len - moved;
        size_t n = 0;
        CURLcode code = curl_easy_send(wire->easy, data + moved, chunk, &n);

        if (code == CURLE_OK) {
            moved += n;
        } else if (code == CURLE_AGAIN) {
            if (since == 0 || moved - marked >= PROGRESS) {
                since = clock_ms();
                marked = moved;
            }
            if (await_room(wire, since + (int64_t)wire->timeout * 1000, fault) < 0)
                return -1;
        } else {
            return broken_by_peer(wire, fault);
        }
    }
    return 0;
}

int wire_flush(struct wire *wire, struct fault *fault)
{
    int result;

    if (wire->out.len == 0)
        return 0;
    result = send_all(wire, wire->out.data, wire->out.len, fault);
    if (wire->out_secret)
        buf_wipe(&wire->out);
    else
        buf_clear(&wire->out);
    wire->out_secret = false;
    return result;
}

static int no_memory(const struct wire *wire, struct fault *fault)
{
    return fault_set(fault, wire->scope, FAULT_INTERNAL, wire->stage, "memory is short");
}

/* A line end within a command would be a second command. */
static int check_one_line(const struct wire *wire, const char *text, size_t len, struct fault *fault)
{
    if (memchr(text, '\n', len) != NULL || memchr(text, '\r', len) != NULL)
        return fault_set(fault, wire->scope, FAULT_INTERNAL, wire->stage, "a command with a line end in it");
    return 0;
}

int wire_command(struct wire *wire, struct fault *fault, const char *fmt, ...)
{
    struct buf *out = &wire->out;
    size_t room = 256;
    va_list args;
    int len;

    for (;;) {
        if (buf_reserve(out, room + 2) < 0)
            return no_memory(wire, fault);
        va_start(args, fmt);
        len = vsnprintf(out->data + out->len, room + 1, fmt, args);
        va_end(args);
        if (len < 0)
            return no_memory(wire, fault);
        if ((size_t)len <= room)
            break;
        room = (size_t)len;
    }
    if (check_one_line(wire, out->data + out->len, (size_t)len, fault) < 0) {
        out->data[out->len] = '\0';
        return -1;
    }
    if (wire->tells)
        log_dialogue(wire->tag, '>', out->data + out->len, (size_t)len);
    out->len += (size_t)len;
    (void)buf_append(out, "\r\n", 2); /* its room is reserved */
    return out->len >= OUT_FLUSH ? wire_flush(wire, fault) : 0;
}

int wire_secret_command(struct wire *wire, const char *show, const char *secret, struct fault *fault)
{
    size_t len = strlen(secret);

    if (check_one_line(wire, secret, len, fault) < 0)
        return -1;
    if (buf_reserve(&wire->out, strlen(show) + len + 2) < 0 || wire_hide(wire, secret, len) < 0)
        return no_memory(wire, fault);
    wire->authenticating = true;
    wire->out_secret = true;
    (void)buf_puts(&wire->out, show); /* the room for all three is reserved */
    (void)buf_append(&wire->out, secret, len);
    (void)buf_append(&wire->out, "\r\n", 2);
    if (wire->tells) {
        char line[64];
        int shown = snprintf(line, sizeof(line), "%s***", show);
        log_dialogue(wire->tag, '>', line, shown < (int)sizeof(line) ? (size_t)shown : sizeof(line) - 1);
    }
    return 0;
}

int wire_write(struct wire *wire, const void *data, size_t len, struct fault *fault)
{
    struct buf *out = &wire->out;
    size_t join;

    if (len == 0)
        return 0;
    if (out->len < OUT_JOIN && len <= OUT_JOIN - out->len)
        return buf_append(out, data, len) < 0 ? no_memory(wire, fault) : 0;
    /* Fill up what waits to one record; the rest goes from where it is. */
    join = out->len > 0 && out->len < OUT_JOIN ? OUT_JOIN - out->len : 0;
    if (join > 0 && buf_append(out, data, join) < 0)
        return no_memory(wire, fault);
    if (wire_flush(wire, fault) < 0)
        return -1;
    return send_all(wire, (const char *)data + join, len - join, fault);
}
