#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/smtp_reply.h"

static bool parse(const char *line, size_t len, int *code, bool *last)
{
    const char *text;
    size_t text_len;

    return smtp_parse_line(line, len, code, last, &text, &text_len);
}

static void lines_of_a_reply_are_told_apart(void **state)
{
    const char *text;
    size_t len;
    bool last;
    int code;

    (void)state;
    assert_true(smtp_parse_line("250-PIPELINING", 14, &code, &last, &text, &len));
    assert_int_equal(code, 250);
    assert_false(last);
    assert_int_equal(len, 10);
    assert_memory_equal(text, "PIPELINING", 10);
    assert_true(smtp_parse_line("354 go on", 9, &code, &last, &text, &len));
    assert_int_equal(code, 354);
    assert_true(last);
    assert_true(smtp_parse_line("250", 3, &code, &last, &text, &len));
    assert_true(last);
    assert_int_equal(len, 0);
    assert_true(smtp_parse_line("250-", 4, &code, &last, &text, &len));
    assert_false(last);
}

static void what_is_no_reply_line_is_refused(void **state)
{
    static const char *const lines[] = {"", "2", "25", "25x ok", "150 ok", "650 ok", "250ok", "250\tok",
        "+OK", " 250 ok"};
    bool last;
    size_t i;
    int code;

    (void)state;
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_false(parse(lines[i], strlen(lines[i]), &code, &last));
    assert_false(parse("250 a\0b", 7, &code, &last));
}

static void add(struct smtp_reply *reply, const char *line, bool last)
{
    bool is_last;

    assert_true(smtp_reply_add(reply, line, strlen(line), &is_last));
    assert_int_equal(is_last, last);
}

static void lines_are_joined_and_the_enhanced_code_is_said_once(void **state)
{
    struct smtp_reply reply;

    (void)state;
    smtp_reply_clear(&reply);
    add(&reply, "550-5.1.1 The address that you", false);
    add(&reply, "550-5.1.1", false);
    add(&reply, "550 5.1.1 wrote to is gone\x1b[0m", true);
    assert_int_equal(reply.code, 550);
    assert_string_equal(reply.enhanced, "5.1.1");
    assert_string_equal(reply.text, "550 5.1.1 The address that you wrote to is gone?[0m");
}

static void an_enhanced_code_must_be_one(void **state)
{
    static const char *const none[] = {"550 4.1.1 other class", "550 5.1 short", "550 5.1234.1 long",
        "550 5.1.1x",
                                       "550 5..1 x", "550", "550 5.1.", "550 no"};
    struct smtp_reply reply;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        smtp_reply_clear(&reply);
        add(&reply, none[i], true);
        assert_string_equal(reply.enhanced, "");
    }
    smtp_reply_clear(&reply);
    add(&reply, "250 2.123.456", true);
    assert_string_equal(reply.enhanced, "2.123.456");
}

static void a_code_that_changes_within_a_reply_is_refused(void **state)
{
    struct smtp_reply reply;
    bool last;

    (void)state;
    smtp_reply_clear(&reply);
    add(&reply, "250-yes", false);
    assert_false(smtp_reply_add(&reply, "550 no", 6, &last));
}

static void a_long_reply_is_cut_not_overrun(void **state)
{
    struct smtp_reply reply;
    char line[900];
    int i;

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "550-", 4);
    line[sizeof(line) - 1] = '\0';
    smtp_reply_clear(&reply);
    for (i = 0; i < 100; i++)
        add(&reply, line, false);
    assert_true(strlen(reply.text) < sizeof(reply.text));
    assert_string_equal(reply.text + strlen(reply.text) - 3, "...");
}

static void extend(struct smtp_extensions *extensions, const char *text)
{
    smtp_parse_extension(text, strlen(text), extensions);
}

static void extensions_are_known_in_any_case(void **state)
{
    struct smtp_extensions e = {.esmtp = true};

    (void)state;
    extend(&e, "pipelining");
    extend(&e, "8BitMIME");
    extend(&e, "SIZE 10240000");
    extend(&e, "DSN");
    extend(&e, "ENHANCEDSTATUSCODES");
    extend(&e, "CHUNKING");
    extend(&e, "SMTPUTF8");
    extend(&e, "STARTTLS");
    extend(&e, "XCLIENT NAME addr Helo");
    extend(&e, "AUTH PLAIN cram-md5");
    extend(&e, "AUTH=LOGIN");
    extend(&e, "");
    extend(&e, "PIPELININGS");
    assert_true(e.pipelining && e.eightbitmime && e.size && e.dsn);
    assert_true(e.enhanced_status && e.chunking && e.smtputf8);
    assert_true(e.starttls && e.xclient && e.auth_plain && e.auth_cram_md5 && e.auth_login);
    assert_false(e.auth_external || e.auth_xoauth2 || e.auth_oauthbearer);
    assert_int_equal(e.size_limit, 10240000);
    assert_string_equal(e.xclient_attributes, "NAME ADDR HELO");
}

static void odd_sizes_are_no_limit(void **state)
{
    struct smtp_extensions e = {.esmtp = true};

    (void)state;
    extend(&e, "SIZE");
    assert_true(e.size && e.size_limit == 0);
    extend(&e, "SIZE 12x");
    assert_true(e.size_limit == 0);
    extend(&e, "SIZE 99999999999999999999999999");
    assert_true(e.size_limit == UINT64_MAX);
    extend(&e, "PIPELINES 1");
    assert_false(e.pipelining);
}

static void attributes_of_xclient_are_capped(void **state)
{
    struct smtp_extensions e = {.esmtp = true};
    int i;

    (void)state;
    for (i = 0; i < 200; i++)
        extend(&e, "XCLIENT ATTRIBUTE");
    assert_true(strlen(e.xclient_attributes) < sizeof(e.xclient_attributes));
}

static void queue_ids_are_found_in_the_words_of_each_server(void **state)
{
    static const struct {
        const char *text;
        const char *id;
    } replies[] = {
        {"250 2.0.0 Ok: queued as 4F2A3B", "4F2A3B"},
        {"250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 3aBcD)", "3aBcD"},
        {"250 OK id=1q2w3e-0001-Ab", "1q2w3e-0001-Ab"},
        {"250 SAA02108 Message accepted for delivery", "SAA02108"},
        {"250 2.0.0 4f2a1b3c Message accepted for delivery", "4f2a1b3c"},
        {"250 2.0.0 <thomas> kLx/OmZ+ Saved", "kLx/OmZ+"},
        {"250 2.0.0 Message accepted for delivery", ""},
        {"250 Message accepted for delivery", ""},
        {"250 ok", ""},
        {"", ""},
        {"250 queued as ", ""},
    };
    char id[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        smtp_parse_queue_id(replies[i].text, id, sizeof(id));
        assert_string_equal(id, replies[i].id);
    }
    smtp_parse_queue_id("250 queued as 123456789", id, 9);
    assert_string_equal(id, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_a_reply_are_told_apart),
        cmocka_unit_test(what_is_no_reply_line_is_refused),
        cmocka_unit_test(lines_are_joined_and_the_enhanced_code_is_said_once),
        cmocka_unit_test(an_enhanced_code_must_be_one),
        cmocka_unit_test(a_code_that_changes_within_a_reply_is_refused),
        cmocka_unit_test(a_long_reply_is_cut_not_overrun),
        cmocka_unit_test(extensions_are_known_in_any_case),
        cmocka_unit_test(odd_sizes_are_no_limit),
        cmocka_unit_test(attributes_of_xclient_are_capped),
        cmocka_unit_test(queue_ids_are_found_in_the_words_of_each_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
