/* What a server repeats of a login must not reach a log, a fault or the history. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "protocol/wire_private.h"

#define SECRET_MAX (64 * 1024)
#define SHORT 4   /* a secret of fewer octets counts only as a word of its own */
#define PLAIN 8   /* one of fewer, and all letters, only where the command is repeated: the server says words, too */
#define CUT_AT 16 /* so many octets are enough of a longer one: a server may cut what it repeats */

int wire_hide(struct wire *wire, const char *secret, size_t len)
{
    struct buf *kept = wire->secrets;

    if (len == 0)
        return 0;
    if (wire->secret_count == WIRE_SECRETS) {
        buf_free(&kept[0]);
        memmove(kept, kept + 1, (WIRE_SECRETS - 1) * sizeof(kept[0]));
        wire->secret_count--;
    }
    buf_init(&kept[wire->secret_count], SECRET_MAX);
    return buf_append(&kept[wire->secret_count++], secret, len);
}

void wire_login_ended(struct wire *wire)
{
    wire->authenticating = false;
}

void wire_forget_secrets(struct wire *wire)
{
    while (wire->secret_count > 0)
        buf_free(&wire->secrets[--wire->secret_count]);
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* A secret that a server may use by chance: "wrong password". */
static bool is_word(const struct buf *secret)
{
    size_t n = 0;

    while (n < secret->len && isalpha((unsigned char)secret->data[n]))
        n++;
    return n == secret->len && n < PLAIN;
}

/* Whether what begins at `at` is told as it was sent: behind the command, or set off. */
static bool is_quoted(const char *line, size_t at)
{
    static const char command[] = "PASS ";
    size_t len = sizeof(command) - 1;

    return at > 0 && (strchr("\"'`:=<(", line[at - 1]) != NULL ||
                      (at >= len && strncasecmp(line + at - len, command, len) == 0));
}

/* How many octets from `at` on repeat the secret, in whatever case; 0: none. */
static size_t repeated(const char *line, size_t len, size_t at, const struct buf *secret)
{
    size_t n = 0;

    while (n < secret->len && at + n < len && same(line[at + n], secret->data[n]))
        n++;
    if (n < (secret->len < CUT_AT ? secret->len : CUT_AT))
        return 0;
    if (secret->len < SHORT && ((at > 0 && isalnum((unsigned char)line[at - 1])) ||
                                (at + n < len && isalnum((unsigned char)line[at + n]))))
        return 0;
    if (is_word(secret) && !is_quoted(line, at))
        return 0;
    return n;
}

/* What the line means is told by its beginning, which is no secret. */
static size_t status_len(const char *line, size_t len)
{
    if (len >= 4 && strncasecmp(line, "-ERR", 4) == 0)
        return 4;
    if (len >= 3 && strncasecmp(line, "+OK", 3) == 0)
        return 3;
    if (len >= 4 && isdigit((unsigned char)line[0]) && isdigit((unsigned char)line[1]) &&
        isdigit((unsigned char)line[2]) && (line[3] == ' ' || line[3] == '-'))
        return 4;
    return len > 0 && line[0] == '+' ? 1 : 0;
}

size_t wire_mask(const struct wire *wire, char *line, size_t len)
{
    size_t in = status_len(line, len);
    size_t out = in;

    while (in < len) {
        size_t most = 0;
        size_t stars;
        size_t i;

        for (i = 0; i < wire->secret_count; i++) {
            size_t n = repeated(line, len, in, &wire->secrets[i]);
            most = n > most ? n : most;
        }
        if (most == 0) {
            line[out++] = line[in++];
            continue;
        }
        stars = most < 3 ? most : 3;
        memset(line + out, '*', stars);
        out += stars;
        in += most;
    }
    if (out < len)
        line[out] = '\0';
    return out;
}
