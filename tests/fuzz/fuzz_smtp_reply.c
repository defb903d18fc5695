/* Lines of SMTP replies, EHLO extensions and queue ids, from octets that a server could send. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct smtp_reply *reply, const struct smtp_extensions *extensions)
{
    char id[32];

    if (strlen(reply->text) >= sizeof(reply->text) || strlen(reply->enhanced) >= sizeof(reply->enhanced) ||
        strlen(extensions->xclient_attributes) >= sizeof(extensions->xclient_attributes))
        abort();
    if (strpbrk(reply->text, "\r\n\t") != NULL || (reply->code != 0 && (reply->code < 200 || reply->code > 599)))
        abort();
    smtp_parse_queue_id(reply->text, id, sizeof(id));
    if (strlen(id) >= sizeof(id))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    const char *end = at + size;
    struct smtp_reply reply = {.code = 0};
    struct smtp_extensions extensions = {.esmtp = true};

    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop != NULL ? stop : end) - at);
        /* A copy of its very size, so that the sanitizer sees a step beyond it. */
        char *line = malloc(len > 0 ? len : 1);
        bool last = true;

        if (line == NULL)
            return 0;
        memcpy(line, at, len);
        if (!smtp_reply_add(&reply, line, len, &last))
            smtp_reply_clear(&reply);
        if (len > 4)
            smtp_parse_extension(line + 4, len - 4, &extensions);
        check(&reply, &extensions);
        if (last)
            smtp_reply_clear(&reply);
        free(line);
        at = stop != NULL ? stop + 1 : end;
    }
    return 0;
}
