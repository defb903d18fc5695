/* message: any answer reads alike from memory and from a file, whole. The first octet seeds the cuts and the
 * memory. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/message.h"

#define CHECK(what) ((what) ? (void)0 : abort())

static struct message *make(const char *answer, size_t len, size_t memory, size_t chunk)
{
    struct fault fault;
    struct message *message = message_new(len % 3 * 50, memory, len);
    size_t at = 0;
    int result = 0;

    while (result == 0) {
        size_t used;

        CHECK(at < len);
        result = message_feed(message, answer + at, len - at < chunk ? len - at : chunk, &used, &fault);
        at += used;
    }
    CHECK(result == 1);
    return message;
}

static char *read_all(const struct message *message, size_t step, size_t *len)
{
    struct fault fault;
    char *all = malloc((size_t)message_stuffed_octets(message) + step);
    long n;

    *len = 0;
    while ((n = message_read(message, *len, all + *len, step, &fault)) > 0)
        *len += (size_t)n;
    CHECK(n == 0 && *len == message_stuffed_octets(message));
    return all;
}

static void compare(const struct message *a, const struct message *b, size_t step)
{
    struct message_part parts[2];
    size_t a_len, b_len, at = 0;
    char *a_text = read_all(a, 100, &a_len);
    char *b_text = read_all(b, step, &b_len);
    const char *a_header, *b_header;
    int count = message_parts(a, parts);
    int i;

    CHECK(a_len == b_len && memcmp(a_text, b_text, a_len) == 0);
    for (i = 0; i < count; i++) {
        CHECK(memcmp(a_text + at, parts[i].data, parts[i].len) == 0);
        at += parts[i].len;
    }
    CHECK(count >= 0 && at == a_len);
    CHECK(memcmp(message_digest(a), message_digest(b), MESSAGE_DIGEST_SIZE) == 0);
    CHECK(message_octets(a) == message_octets(b) && message_received(a) == message_received(b));
    CHECK((message_return_path(a) == NULL) == (message_return_path(b) == NULL));
    CHECK(message_return_path(a) == NULL || strcmp(message_return_path(a), message_return_path(b)) == 0);
    a_header = message_header(a, &a_len);
    b_header = message_header(b, &b_len);
    CHECK(a_len == b_len && memcmp(a_header, b_header, a_len) == 0);
    free(a_text);
    free(b_text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message *memory, *file;
    char *answer;

    if (size == 0)
        return 0;
    answer = malloc(size + 4);
    memcpy(answer, data + 1, size - 1);
    memcpy(answer + size - 1, "\r\n.\r\n", 5);
    memory = make(answer, size + 4, MESSAGE_MEMORY, size + 4);
    file = make(answer, size + 4, data[0] / 8u, 1u + data[0] % 8u * 9u);
    compare(memory, file, 1u + data[0] % 13u);
    message_free(memory);
    message_free(file);
    free(answer);
    return 0;
}
