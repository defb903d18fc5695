/* header: fields of a message header, hostile ones included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mail/header.h"

/* The fields' names, each with a '|' behind it. */
static void names(const char *header, size_t len, char *dst, size_t *at)
{
    struct header_field field;

    *at = 0;
    dst[0] = '\0';
    while (header_next(header, len, at, &field)) {
        assert_true(field.start + field.size <= header + len);
        strncat(dst, field.name, field.name_len);
        strcat(dst, "|");
    }
}

static void expect_names(const char *header, const char *expected, size_t stop)
{
    char got[512];
    size_t at;

    names(header, strlen(header), got, &at);
    assert_string_equal(got, expected);
    assert_int_equal(at, stop);
}

static void fields_come_in_order_up_to_the_blank_line(void **state)
{
    (void)state;
    expect_names("A: 1\r\nB: 2\r\n\r\nC: 3\r\n", "A|B|", 12);
    expect_names("A: 1\nB: 2\n\nC: 3\n", "A|B|", 10);
    expect_names("\r\nA: 1\r\n", "", 0);
    expect_names("", "", 0);
    expect_names("A: 1", "A|", 4);
    expect_names("A:", "A|", 2);
}

static void folded_lines_belong_to_their_field(void **state)
{
    (void)state;
    expect_names("A: 1\r\n B: 2\r\n\tC: 3\r\nD: 4\r\n", "A|D|", 26);
    expect_names("A: 1\r\n \r\nB: 2\r\n", "A|B|", 15);
}

static void lines_that_are_no_field_are_passed_over(void **state)
{
    (void)state;
    expect_names("From thomas Mon\r\nA: 1\r\n: x\r\n folded: y\r\nB : 2\r\nC d: 3\r\nE\r\n", "A|B|", 58);
    expect_names(" A: 1\r\nB: 2\r\n", "B|", 13);
    expect_names("\xE4: 1\r\nB: 2\r\n", "B|", 12);
}

static struct header_field only(const char *header, size_t len)
{
    struct header_field field;
    size_t at = 0;

    assert_true(header_next(header, len, &at, &field));
    return field;
}

static void a_value_is_unfolded_and_trimmed(void **state)
{
    struct header_field field = only("Subject: \r\n  a\r\n\tb \0c \t\r\n \r\n", 29);
    char value[16];

    (void)state;
    assert_true(header_value(&field, value, sizeof(value)));
    assert_string_equal(value, "a\tb  c");
    assert_true(header_value(&field, value, 7));
    assert_string_equal(value, "a\tb  c");
    assert_false(header_value(&field, value, 6));
    assert_string_equal(value, "");
    assert_false(header_value(&field, value, 1));
    field = only("A:\r\n", 4);
    assert_true(header_value(&field, value, 1));
    assert_string_equal(value, "");
}

static void the_body_has_no_last_line_end_but_its_folding(void **state)
{
    struct header_field field = only("A : 1\r\n 2\r\nB: 3\r\n", 17);

    (void)state;
    assert_int_equal(field.name_len, 1);
    assert_int_equal(field.size, 11);
    assert_int_equal(field.body_len, 6);
    assert_memory_equal(field.body, " 1\r\n 2", 6);
}

static void names_are_compared_without_case(void **state)
{
    struct header_field field = only("Return-PATH: x\r\n", 16);

    (void)state;
    assert_true(header_is(&field, "return-path"));
    assert_false(header_is(&field, "return-pat"));
    assert_false(header_is(&field, "return-path2"));
    assert_true(header_equal("", 0, ""));
    assert_false(header_equal("a\0", 2, "a"));
}

static void fields_are_counted(void **state)
{
    static const char header[] = "A: 1\r\na: 2\r\nB: 3\r\n\r\nA: 4\r\n";

    (void)state;
    assert_int_equal(header_count(header, sizeof(header) - 1, "A"), 2);
    assert_int_equal(header_count(header, sizeof(header) - 1, "C"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_in_order_up_to_the_blank_line),
        cmocka_unit_test(folded_lines_belong_to_their_field),
        cmocka_unit_test(lines_that_are_no_field_are_passed_over),
        cmocka_unit_test(a_value_is_unfolded_and_trimmed),
        cmocka_unit_test(the_body_has_no_last_line_end_but_its_folding),
        cmocka_unit_test(names_are_compared_without_case),
        cmocka_unit_test(fields_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
