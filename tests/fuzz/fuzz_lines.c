/* lines: any octets, cut anywhere, against the rules written a second time. The first octet seeds the
 * cuts. */
#include <stdint.h>

#include "../unit/lines_model.h"
#include "mail/lines.h"

#define CHECK(what) ((what) ? (void)0 : abort())

struct sink {
    char *data;
    size_t len;
    size_t size;
};

static int take(void *context, const char *data, size_t len)
{
    struct sink *sink = context;

    CHECK(len <= sink->size - sink->len);
    memcpy(sink->data + sink->len, data, len);
    sink->len += len;
    return 0;
}

static int feed(struct lines *lines, struct sink *sink, const char *in, size_t len, unsigned seed)
{
    size_t at = 0;
    int result = 0;

    while (at < len && result == 0) {
        size_t n, used;

        seed = seed * 1103515245u + 12345u;
        n = seed == 0 ? len - at : 1 + (seed >> 16) % 13;
        n = n < len - at ? n : len - at;
        result = lines_feed(lines, in + at, n, &used, take, sink);
        CHECK(result >= 0 && used <= n && (result == 1 || used == n));
        at += used;
    }
    CHECK(lines->in == at);
    return result;
}

/* No bare CR or LF, no line that is only a dot, and a dot at each line's start doubled. */
static void check_form(const char *data, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (data[i] == '\r')
            CHECK(i + 1 < len && data[i + 1] == '\n');
        if (data[i] == '\n')
            CHECK(i > 0 && data[i - 1] == '\r');
        if (data[i] == '.' && (i == 0 || data[i - 1] == '\n')) {
            CHECK(i + 1 < len && data[i + 1] == '.');
            i++;
        }
    }
}

static void check_answer(const char *in, size_t len, unsigned seed)
{
    struct model model;
    struct lines lines;
    struct sink sink = {.data = malloc(2 * len + 3), .size = 2 * len + 3};
    bool line_start = true;

    model_run(&model, in, len);
    lines_init(&lines);
    CHECK(feed(&lines, &sink, in, len, seed) == model.ended);
    if (model.ended) {
        CHECK(lines.in == model.used && lines.out == sink.len && lines.unstuffed == model.unstuffed);
        CHECK(lines_received(&lines) == model.used - 3 - model.unstuffed);
        CHECK(sink.len == model.out_len && memcmp(sink.data, model.out, sink.len) == 0);
        CHECK(lines.out - lines.stuffed == model.text_len);
        check_form(sink.data, sink.len);
        CHECK(lines_unstuff(sink.data, sink.len, &line_start) == model.text_len);
        CHECK(memcmp(sink.data, model.text, model.text_len) == 0);
    }
    free(sink.data);
    model_free(&model);
}

static void check_plain(const char *in, size_t len, unsigned seed)
{
    struct lines lines;
    struct sink sink = {.data = malloc(2 * len + 3), .size = 2 * len + 3};

    lines_init_plain(&lines);
    CHECK(feed(&lines, &sink, in, len, seed) == 0 && lines_finish(&lines, take, &sink) == 0);
    CHECK(lines.out == sink.len && lines_received(&lines) == len);
    check_form(sink.data, sink.len);
    CHECK(sink.len == 0 || sink.data[sink.len - 1] == '\n');
    free(sink.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *in;

    if (size == 0)
        return 0;
    /* With an end behind, so that most inputs are whole answers. */
    in = malloc(size + 4);
    memcpy(in, data + 1, size - 1);
    memcpy(in + size - 1, "\r\n.\r\n", 5);
    check_answer(in, size - 1, data[0]);
    check_answer(in, size + 4, data[0]);
    check_plain(in, size - 1, data[0]);
    free(in);
    return 0;
}
