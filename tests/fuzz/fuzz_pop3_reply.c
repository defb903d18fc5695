/* Status lines, listings, capabilities and timestamps, from octets that a POP3 server could send. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/pop3_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool held)
{
    if (!held)
        abort();
}

/* A part of a line lies within it. */
static bool within(const char *line, size_t len, const char *part, size_t part_len)
{
    return part >= line && part_len <= len && (size_t)(part - line) <= len - part_len;
}

static void check_status(const char *line, size_t len)
{
    enum pop3_code code;
    const char *text;
    enum pop3_status status = pop3_parse_status(line, len, &text, &code);

    must(within(line, len, text, 0));
    must(status != POP3_GARBAGE || code == POP3_CODE_NONE);
    must((pop3_refusal_class(line, len, true) == FAULT_PROTOCOL) ==
         (status != POP3_ERR || code == POP3_CODE_SYS_PERM));
    must(pop3_refusal_class(line, len, false) != FAULT_LOGIN || code == POP3_CODE_AUTH);
}

static void check_listing(const char *line, size_t len)
{
    uint64_t number, octets;
    const char *uid;
    size_t uid_len, i;
    bool has_octets;

    if (pop3_parse_pair(line, len, &number, &octets, &has_octets))
        must(has_octets || octets == 0);
    if (!pop3_parse_uid(line, len, &number, &uid, &uid_len))
        return;
    must(uid_len > 0 && uid_len <= 1000 && within(line, len, uid, uid_len));
    for (i = 0; i < uid_len; i++)
        must((unsigned char)uid[i] > ' ' && uid[i] != 0x7F);
}

static void check_greeting(const char *line, size_t len)
{
    const char *stamp;
    size_t stamp_len;

    if (pop3_parse_timestamp(line, len, &stamp, &stamp_len))
        must(within(line, len, stamp, stamp_len) && stamp_len >= 3 && stamp[0] == '<' &&
             stamp[stamp_len - 1] == '>');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pop3_capabilities capabilities = {.known = true};
    const char *at = (const char *)data;
    const char *end = at + size;

    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop != NULL ? stop : end) - at);
        /* A copy of its very size, so that the sanitizer sees a step beyond it. */
        char *line = malloc(len > 0 ? len : 1);

        if (line == NULL)
            return 0;
        memcpy(line, at, len);
        check_status(line, len);
        check_listing(line, len);
        check_greeting(line, len);
        pop3_parse_capability(line, len, &capabilities);
        must(memchr(capabilities.implementation, '\0', sizeof(capabilities.implementation)) != NULL);
        must(strpbrk(capabilities.implementation, "\r\n\x1B") == NULL);
        free(line);
        at = stop != NULL ? stop + 1 : end;
    }
    return 0;
}
