/* lines: the octets of a POP3 answer, at every chunk border. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lines_model.h"
#include "mail/lines.h"

struct sink {
    char data[4096];
    size_t len;
    size_t calls;
    size_t stop_at; /* refuse the call of this number, 0: none */
};

static int take(void *context, const char *data, size_t len)
{
    struct sink *sink = context;

    if (++sink->calls == sink->stop_at)
        return -1;
    assert_true(sink->len + len <= sizeof(sink->data));
    memcpy(sink->data + sink->len, data, len);
    sink->len += len;
    return 0;
}

/* Feed `len` octets in chunks of `chunk`; returns the last result. */
static int feed(struct lines *lines, struct sink *sink, const char *in, size_t len, size_t chunk)
{
    uint64_t before = lines->in;
    size_t at = 0;
    int result = 0;

    while (at < len && result == 0) {
        size_t n = len - at < chunk ? len - at : chunk;
        size_t used = 99;

        result = lines_feed(lines, in + at, n, &used, take, sink);
        assert_true(used <= n && (used == n || result != 0));
        at += used;
    }
    assert_int_equal(lines->in - before, at);
    return result;
}

static void expect(const char *in, size_t len, const char *out, size_t out_len)
{
    size_t chunk;

    for (chunk = 1; chunk <= len; chunk++) {
        struct lines lines;
        struct sink sink = {.len = 0};

        lines_init(&lines);
        assert_int_equal(feed(&lines, &sink, in, len, chunk), 1);
        assert_int_equal(sink.len, out_len);
        assert_memory_equal(sink.data, out, out_len);
        assert_int_equal(lines.out, out_len);
    }
}
#define EXPECT(in, out) expect(in, sizeof(in) - 1, out, sizeof(out) - 1)

static void an_empty_message_stays_empty(void **state)
{
    (void)state;
    EXPECT(".\r\n", "");
    EXPECT("\r\n.\r\n", "\r\n");
}

static void only_crlf_dot_crlf_ends_an_answer(void **state)
{
    (void)state;
    EXPECT("a\r\n.\r\n", "a\r\n");
    EXPECT("a\n.\nb\r\n.\r\n", "a\r\n..\r\nb\r\n");
    EXPECT("a\n.\r\nb\r\n.\r\n", "a\r\n..\r\nb\r\n");
    EXPECT("a\r.\r\nb\r\n.\r\n", "a .\r\nb\r\n");
    EXPECT("a\r\n.\nb\r\n.\r\n", "a\r\n\r\nb\r\n");
    EXPECT("a\r\n.\rb\r\n.\r\n", "a\r\n b\r\n");
    EXPECT("a\r\n.\r\r\nb\r\n.\r\n", "a\r\n\r\nb\r\n");
    EXPECT("a\r\r\n.\r\n", "a\r\n");
}

static void octets_behind_the_end_are_left_alone(void **state)
{
    static const char in[] = "a\r\n.\r\n+OK 2\r\nb\r\n.\r\n";
    struct lines lines;
    struct sink sink = {.len = 0};
    size_t used;

    (void)state;
    lines_init(&lines);
    assert_int_equal(lines_feed(&lines, in, sizeof(in) - 1, &used, take, &sink), 1);
    assert_int_equal(used, 6);
    assert_int_equal(sink.len, 3);
}

static void pop3_stuffing_is_undone_and_smtp_stuffing_done(void **state)
{
    (void)state;
    EXPECT("..\r\n.\r\n", "..\r\n");
    EXPECT("...\r\n..a\r\n.\r\n", "...\r\n..a\r\n");
    EXPECT(".a\r\n.\r\n", "a\r\n");
    EXPECT("x\r\n.a\r\n..b\r\n.\r\n", "x\r\na\r\n..b\r\n");
    EXPECT("\n..a\r\n.\r\n", "\r\n...a\r\n");
}

static void line_ends_are_repaired(void **state)
{
    (void)state;
    EXPECT("a\nb\r\n.\r\n", "a\r\nb\r\n");
    EXPECT("a\r\r\r\nb\r\n.\r\n", "a\r\nb\r\n");
    EXPECT("a\rb\r\rc\r\n.\r\n", "a b  c\r\n");
    EXPECT("a\n\r\n.\r\n", "a\r\n\r\n");
    EXPECT("\r\ra\r\n.\r\n", "  a\r\n");
}

static void a_run_of_crs_longer_than_any_buffer_keeps_its_length(void **state)
{
    char in[1000];
    struct lines lines;
    struct sink sink = {.len = 0};

    (void)state;
    memset(in, '\r', sizeof(in));
    memcpy(in + 990, "x\r\n.\r\n", 6);
    lines_init(&lines);
    assert_int_equal(feed(&lines, &sink, in, 996, 7), 1);
    assert_int_equal(sink.len, 993);
    assert_int_equal(sink.data[989], ' ');
    assert_int_equal(sink.data[990], 'x');
}

static void nul_and_eightbit_octets_pass(void **state)
{
    struct lines lines;
    struct sink sink = {.len = 0};

    (void)state;
    EXPECT("a\0b\r\n.\r\n", "a\0b\r\n");
    EXPECT("\xFF\x80\r\n.\r\n", "\xFF\x80\r\n");
    lines_init(&lines);
    feed(&lines, &sink, "0123456789012345678901234567890123456789\r\n", 42, 42);
    assert_false(lines.eightbit);
    feed(&lines, &sink, "012345678901234567890123456789012345678\xE4\r\n", 42, 42);
    assert_true(lines.eightbit);
}

static void clean_text_passes_as_one_run(void **state)
{
    static const char in[] = "Subject: x\r\n\r\n..dot\r\nlast\r\n.\r\n";
    struct lines lines;
    struct sink sink = {.len = 0};

    (void)state;
    lines_init(&lines);
    assert_int_equal(feed(&lines, &sink, in, sizeof(in) - 1, sizeof(in)), 1);
    assert_int_equal(sink.calls, 1);
}

static void a_sink_that_stops_stops_the_pass(void **state)
{
    struct lines lines;
    size_t stop_at;

    (void)state;
    for (stop_at = 1; stop_at <= 4; stop_at++) {
        struct sink sink = {.stop_at = stop_at};
        size_t used;

        lines_init(&lines);
        assert_int_equal(lines_feed(&lines, "a\n.b\rc\r\n.\r\n", 12, &used, take, &sink), -1);
    }
}

/* Whether the counters hold, and the way back gives the message again. */
static void check_against(const struct model *model, const struct lines *lines, struct sink *sink)
{
    bool line_start = true;
    size_t len;

    assert_int_equal(lines->in, model->used);
    assert_int_equal(lines->out, model->out_len);
    assert_int_equal(lines->unstuffed, model->unstuffed);
    assert_int_equal(lines->out - lines->stuffed, model->text_len);
    assert_int_equal(lines_received(lines), model->used - 3 - model->unstuffed);
    assert_int_equal(sink->len, model->out_len);
    assert_memory_equal(sink->data, model->out, model->out_len);
    len = lines_unstuff(sink->data, sink->len, &line_start);
    assert_int_equal(len, model->text_len);
    assert_memory_equal(sink->data, model->text, len);
}

/* All texts of up to 7 octets of CR, LF, dot and a letter, each whole and cut at every place, against the
 * rules. */
static void every_short_text_at_every_chunk_border(void **state)
{
    static const char alphabet[] = "\r\n.a";
    unsigned long code;
    size_t len;

    (void)state;
    for (len = 0; len <= 7; len++) {
        for (code = 0; code < 1ul << (2 * len); code++) {
            struct model model;
            char in[16];
            size_t i;

            for (i = 0; i < len; i++)
                in[i] = alphabet[(code >> (2 * i)) & 3];
            memcpy(in + len, "\r\n.\r\n", 5);
            model_run(&model, in, len + 5);
            for (i = 1; i <= len + 5; i++) {
                struct lines lines;
                struct sink sink = {.len = 0};
                int result;

                lines_init(&lines);
                result = feed(&lines, &sink, in, i, i);
                if (result == 0)
                    result = lines_feed(&lines, in + i, len + 5 - i, &(size_t){0}, take, &sink);
                assert_int_equal(result, 1);
                check_against(&model, &lines, &sink);
            }
            model_free(&model);
        }
    }
}

static void octets_received_do_not_count_what_may_be_the_end(void **state)
{
    struct lines lines;
    struct sink sink = {.len = 0};

    (void)state;
    lines_init(&lines);
    feed(&lines, &sink, "ab\r\n", 4, 4);
    assert_int_equal(lines_received(&lines), 4);
    (void)lines_feed(&lines, ".", 1, &(size_t){0}, take, &sink);
    assert_int_equal(lines_received(&lines), 4);
    (void)lines_feed(&lines, "\r", 1, &(size_t){0}, take, &sink);
    assert_int_equal(lines_received(&lines), 4);
    (void)lines_feed(&lines, "x", 1, &(size_t){0}, take, &sink);
    assert_int_equal(lines_received(&lines), 6);
}

static void expect_plain(const char *in, const char *out)
{
    size_t chunk;

    for (chunk = 1; chunk <= strlen(in) + 1; chunk++) {
        struct lines lines;
        struct sink sink = {.len = 0};

        lines_init_plain(&lines);
        assert_int_equal(feed(&lines, &sink, in, strlen(in), chunk), 0);
        assert_int_equal(lines_finish(&lines, take, &sink), 0);
        assert_int_equal(sink.len, strlen(out));
        assert_memory_equal(sink.data, out, sink.len);
        assert_int_equal(lines_received(&lines), strlen(in));
    }
}

static void a_plain_text_has_no_framing_and_gets_a_line_end(void **state)
{
    (void)state;
    expect_plain("", "");
    expect_plain("a", "a\r\n");
    expect_plain("a\n", "a\r\n");
    expect_plain("a\r", "a\r\n");
    expect_plain("\r", "\r\n");
    expect_plain(".", "..\r\n");
    expect_plain("a\r\n.\r\nb\n..c\r.d", "a\r\n..\r\nb\r\n...c .d\r\n");
    expect_plain(".\n.\n", "..\r\n..\r\n");
}

static void unstuffing_works_at_every_chunk_border(void **state)
{
    static const char in[] = "..a\r\n...\r\nb.\r\n..\r\n";
    static const char out[] = ".a\r\n..\r\nb.\r\n.\r\n";
    size_t cut;

    (void)state;
    for (cut = 0; cut <= sizeof(in) - 1; cut++) {
        char first[32];
        char second[32];
        bool line_start = true;
        size_t a, b;

        memcpy(first, in, cut);
        memcpy(second, in + cut, sizeof(in) - 1 - cut);
        a = lines_unstuff(first, cut, &line_start);
        b = lines_unstuff(second, sizeof(in) - 1 - cut, &line_start);
        memmove(first + a, second, b);
        assert_int_equal(a + b, sizeof(out) - 1);
        assert_memory_equal(first, out, a + b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_message_stays_empty),
        cmocka_unit_test(only_crlf_dot_crlf_ends_an_answer),
        cmocka_unit_test(octets_behind_the_end_are_left_alone),
        cmocka_unit_test(pop3_stuffing_is_undone_and_smtp_stuffing_done),
        cmocka_unit_test(line_ends_are_repaired),
        cmocka_unit_test(a_run_of_crs_longer_than_any_buffer_keeps_its_length),
        cmocka_unit_test(nul_and_eightbit_octets_pass),
        cmocka_unit_test(clean_text_passes_as_one_run),
        cmocka_unit_test(a_sink_that_stops_stops_the_pass),
        cmocka_unit_test(every_short_text_at_every_chunk_border),
        cmocka_unit_test(octets_received_do_not_count_what_may_be_the_end),
        cmocka_unit_test(a_plain_text_has_no_framing_and_gets_a_line_end),
        cmocka_unit_test(unstuffing_works_at_every_chunk_border),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
