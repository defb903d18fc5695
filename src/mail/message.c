#include "mail/message.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "mail/header.h"
#include "mail/lines.h"
#include "mail/spill.h"

#define FIRST_SIZE 4096                  /* octets allocated when no size was listed */
#define FILE_BUFFER ((size_t)128 * 1024) /* octets gathered before a write to the file */
#define PATH_SIZE 512                    /* of a Return-Path: RFC 5321 allows 256, source routes are longer */

struct message {
    struct lines lines;
    uint64_t expected;
    uint64_t cap;
    size_t limit; /* octets in memory before the file */
    char *data;   /* the SMTP form; with a file: what was not written yet */
    size_t len;
    size_t size;
    int fd; /* -1: in memory */
    bool finished;
    EVP_MD_CTX *digest; /* from the reading of the header on */
    unsigned char sum[MESSAGE_DIGEST_SIZE];
    size_t header_len; /* in SMTP form, at the beginning of data or of the file */
    size_t copy_len;
    char *header_copy; /* where the header is not in memory as it should be told */
    size_t path_at;    /* the Return-Path field; path_size 0: none */
    size_t path_size;
    char return_path[PATH_SIZE];
};

/* What the sink of lines_feed() needs. */
struct taking {
    struct message *message;
    struct fault *fault;
};

static int out_of_memory(struct fault *fault)
{
    return fault_set(fault, FAULT_OF_RUN, FAULT_INTERNAL, "message", "memory is short");
}

static int digest_fault(struct fault *fault)
{
    return fault_set(fault, FAULT_OF_RUN, FAULT_INTERNAL, "message", "OpenSSL cannot compute a SHA-256");
}

struct message *message_new(uint64_t expected, size_t memory, uint64_t cap)
{
    struct message *message = calloc(1, sizeof(*message));

    if (message == NULL)
        return NULL;
    message->fd = -1;
    message->expected = expected;
    message->cap = cap;
    message->limit = memory < MESSAGE_MEMORY ? memory : MESSAGE_MEMORY;
    /* No use in filling the memory of what will go to the file anyway. */
    if (expected > message->limit && message->limit > MESSAGE_HEADER_MAX)
        message->limit = MESSAGE_HEADER_MAX;
    message->size = FIRST_SIZE;
    if (expected > 0)
        message->size = expected < message->limit ? (size_t)(expected + expected / 64 + 64) : message->limit;
    if (message->size > message->limit)
        message->size = message->limit;
    if (message->size == 0)
        message->size = 1;
    message->data = malloc(message->size);
    if (message->data == NULL) {
        free(message);
        return NULL;
    }
    lines_init(&message->lines);
    return message;
}

void message_free(struct message *message)
{
    if (message == NULL)
        return;
    if (message->fd >= 0)
        (void)close(message->fd);
    EVP_MD_CTX_free(message->digest);
    free(message->header_copy);
    free(message->data);
    free(message);
}

/* The path between < and > (RFC 5321 section 4.1.2), a quoted local part may hold both; without < the whole
 * value. */
static void read_path(struct message *message, const struct header_field *field)
{
    char value[2 * PATH_SIZE];
    bool quoted = false;
    const char *from;
    size_t len;

    if (!header_value(field, value, sizeof(value)))
        return;
    from = strchr(value, '<');
    if (from != NULL) {
        from++;
        for (len = 0; from[len] != '\0' && (quoted || from[len] != '>'); len++) {
            if (from[len] == '"')
                quoted = !quoted;
            else if (from[len] == '\\' && from[len + 1] != '\0')
                len++;
        }
    } else {
        from = value;
        len = strlen(value);
    }
    if (len < sizeof(message->return_path))
        memcpy(message->return_path, from, len);
}

/* Fields that POP3 servers write into a message between two sessions. */
static bool is_volatile(const struct header_field *field)
{
    return header_is(field, "Status") || header_is(field, "X-Status") || header_is(field, "X-UIDL");
}

/* Read the header that stands at the beginning of `data`, and digest all that is there. last: nothing comes
 * behind it. What is found does not depend on whether this happens before the file is begun or at the end. */
static int read_header(struct message *message, bool last, struct fault *fault)
{
    size_t len = message->len < MESSAGE_HEADER_MAX ? message->len : MESSAGE_HEADER_MAX;
    bool cut = !last || len < message->len;
    struct header_field field;
    size_t at = 0;
    size_t from = 0;
    int ok;

    message->digest = EVP_MD_CTX_new();
    ok = message->digest != NULL && EVP_DigestInit_ex(message->digest, EVP_sha256(), NULL) == 1;
    while (ok && header_next(message->data, len, &at, &field)) {
        size_t start = at - field.size;

        /* It may go on behind the cut. */
        if (cut && at == len)
            break;
        if (message->path_size == 0 && header_is(&field, "Return-Path")) {
            message->path_at = start;
            message->path_size = field.size;
            read_path(message, &field);
        } else if (is_volatile(&field)) {
            ok = EVP_DigestUpdate(message->digest, message->data + from, start - from);
            from = at;
        }
    }
    message->header_len = at;
    if (!ok || EVP_DigestUpdate(message->digest, message->data + from, message->len - from) != 1)
        return digest_fault(fault);
    return 0;
}

/* Keep the header apart where `data` will not hold it, or holds it stuffed. */
static int copy_header(struct message *message, struct fault *fault)
{
    bool line_start = true;

    message->header_copy = malloc(message->header_len + 1);
    if (message->header_copy == NULL)
        return out_of_memory(fault);
    memcpy(message->header_copy, message->data, message->header_len);
    message->copy_len = lines_unstuff(message->header_copy, message->header_len, &line_start);
    return 0;
}

static bool header_complete(const struct message *message)
{
    return message->len >= MESSAGE_HEADER_MAX ||
           (message->len >= 2 && memcmp(message->data, "\r\n", 2) == 0) ||
           memmem(message->data, message->len, "\r\n\r\n", 4) != NULL;
}

static int resize(struct message *message, size_t size, struct fault *fault)
{
    char *data = realloc(message->data, size);

    if (data == NULL)
        return out_of_memory(fault);
    message->data = data;
    message->size = size;
    return 0;
}

/* From memory to the file; what was the memory becomes the buffer before the file. */
static int begin_file(struct message *message, struct fault *fault)
{
    if (read_header(message, false, fault) < 0 || copy_header(message, fault) < 0)
        return -1;
    message->fd = spill_open(fault);
    if (message->fd < 0 || spill_write(message->fd, message->data, message->len, fault) < 0)
        return -1;
    message->len = 0;
    return message->size == FILE_BUFFER ? 0 : resize(message, FILE_BUFFER, fault);
}

static int flush(struct message *message, struct fault *fault)
{
    if (message->len > 0 && EVP_DigestUpdate(message->digest, message->data, message->len) != 1)
        return digest_fault(fault);
    if (spill_write(message->fd, message->data, message->len, fault) < 0)
        return -1;
    message->len = 0;
    return 0;
}

/* `data` is full: more memory, or the file. */
static int make_room(struct message *message, struct fault *fault)
{
    size_t limit = message->limit;

    if (message->fd >= 0)
        return flush(message, fault);
    if (message->len >= limit) {
        if (header_complete(message))
            return begin_file(message, fault);
        limit = MESSAGE_HEADER_MAX;
    }
    return resize(message, message->size < limit / 2 ? message->size * 2 : limit, fault);
}

static int take(void *context, const char *data, size_t len)
{
    const struct taking *taking = context;
    struct message *message = taking->message;

    while (len > 0) {
        size_t n;

        if (message->len == message->size && make_room(message, taking->fault) < 0)
            return -1;
        n = message->size - message->len;
        n = n < len ? n : len;
        memcpy(message->data + message->len, data, n);
        message->len += n;
        data += n;
        len -= n;
    }
    return 0;
}

static bool header_stuffed(const struct message *message)
{
    return message->lines.stuffed > 0 && message->header_len > 0 &&
           (message->data[0] == '.' || memmem(message->data, message->header_len, "\n.", 2) != NULL);
}

static int finish(struct message *message, struct fault *fault)
{
    if (message->fd >= 0) {
        if (flush(message, fault) < 0)
            return -1;
        free(message->data);
        message->data = NULL;
    } else {
        if (read_header(message, true, fault) < 0 ||
            (header_stuffed(message) && copy_header(message, fault) < 0))
            return -1;
    }
    if (EVP_DigestFinal_ex(message->digest, message->sum, NULL) != 1)
        return digest_fault(fault);
    EVP_MD_CTX_free(message->digest);
    message->digest = NULL;
    message->finished = true;
    return 0;
}

static int too_large(const struct message *message, struct fault *fault)
{
    if (message->expected == 0)
        return fault_set(fault, FAULT_OF_MESSAGE, FAULT_PROTOCOL, "RETR",
                         "the message is larger than %llu octets", (unsigned long long)message->cap);
    return fault_set(fault, FAULT_OF_MESSAGE, FAULT_PROTOCOL, "RETR",
                     "the message is larger than %llu octets though the server listed %llu",
                     (unsigned long long)message->cap, (unsigned long long)message->expected);
}

int message_feed(struct message *message, const char *data, size_t len, size_t *used, struct fault *fault)
{
    struct taking taking = {message, fault};
    int result = lines_feed(&message->lines, data, len, used, take, &taking);

    if (result < 0)
        return -1;
    if (lines_received(&message->lines) > message->cap)
        return too_large(message, fault);
    if (result == 1 && !message->finished && finish(message, fault) < 0)
        return -1;
    return result;
}

int message_write(struct message *message, const char *data, size_t len, struct fault *fault)
{
    struct taking taking = {message, fault};
    size_t used;

    if (message->lines.in == 0)
        lines_init_plain(&message->lines);
    if (lines_feed(&message->lines, data, len, &used, take, &taking) < 0)
        return -1;
    return lines_received(&message->lines) > message->cap ? too_large(message, fault) : 0;
}

int message_finish(struct message *message, struct fault *fault)
{
    struct taking taking = {message, fault};

    if (message->finished)
        return 0;
    if (lines_finish(&message->lines, take, &taking) < 0)
        return -1;
    return finish(message, fault);
}

uint64_t message_octets(const struct message *message)
{
    /* The Return-Path field holds no stuffing: none of its lines begins with a dot. */
    return message->lines.out - message->lines.stuffed - message->path_size;
}

uint64_t message_stuffed_octets(const struct message *message)
{
    return message->lines.out - message->path_size;
}

uint64_t message_received(const struct message *message)
{
    return lines_received(&message->lines);
}

bool message_eightbit(const struct message *message)
{
    return message->lines.eightbit;
}

const unsigned char *message_digest(const struct message *message)
{
    return message->sum;
}

const char *message_header(const struct message *message, size_t *len)
{
    *len = message->header_copy != NULL ? message->copy_len : message->header_len;
    return message->header_copy != NULL ? message->header_copy : message->data;
}

const char *message_return_path(const struct message *message)
{
    return message->path_size > 0 ? message->return_path : NULL;
}

long message_read(const struct message *message, uint64_t offset, char *buf, size_t size, struct fault *fault)
{
    uint64_t end = message->lines.out;

    /* Up to the taken-off field, or behind it. */
    if (message->path_size > 0) {
        if (offset < message->path_at)
            end = message->path_at;
        else
            offset += message->path_size;
    }
    if (offset >= end)
        return 0;
    if (size > end - offset)
        size = (size_t)(end - offset);
    if (message->fd >= 0)
        return spill_read(message->fd, offset, buf, size, fault);
    memcpy(buf, message->data + offset, size);
    return (long)size;
}

int message_parts(const struct message *message, struct message_part parts[2])
{
    size_t behind = message->path_at + message->path_size;
    int count = 0;

    if (message->fd >= 0)
        return -1;
    if (message->path_at > 0)
        parts[count++] = (struct message_part){message->data, message->path_at};
    if (message->len > behind)
        parts[count++] = (struct message_part){message->data + behind, message->len - behind};
    return count;
}
