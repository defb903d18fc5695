/* Text of others, made fit to be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/utf8.h"

static const struct {
    const char *sent, *shown;
} rows[] = {
    {"plain", "plain"},
    {"", ""},
    {"\xC3\xBC \xE2\x82\xAC \xF0\x9F\x93\xA7", "\xC3\xBC \xE2\x82\xAC \xF0\x9F\x93\xA7"},
    {"Ung\xFCltig", "Ung?ltig"},      /* Latin-1 */
    {"a\x1B[2J\x7F\r\n", "a?[2J???"}, /* C0 and DEL */
    {"\x9B"
     "2J \xC2\x9B"
     "2J",
     "?2J ??2J"},                                  /* C1, alone and in UTF-8 */
    {"\xC0\xAF \xE0\x80\xAF", "?? ???"},           /* over-long */
    {"\xED\xA0\x80 \xF4\x90\x80\x80", "??? ????"}, /* a surrogate, beyond U+10FFFF */
    {"end \xE2\x82", "end ??"},
};

static void what_is_no_printable_character_becomes_a_question_mark(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out;
        buf_init(&out, 64);
        assert_int_equal(utf8_clean(&out, rows[i].sent, strlen(rows[i].sent)), 0);
        assert_string_equal(out.data != NULL ? out.data : "", rows[i].shown);
        buf_free(&out);
    }
}

static void what_a_fault_quotes_is_utf8(void **state)
{
    char quoted[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(fault_quote(quoted, sizeof(quoted), rows[i].sent, strlen(rows[i].sent)),
                            rows[i].shown);
}

static void a_cut_quotation_ends_with_a_whole_character(void **state)
{
    char quoted[8];

    (void)state;
    assert_string_equal(fault_quote(quoted, sizeof(quoted), "abc\xC3\xBC and more", 14), "abc...");
    assert_string_equal(fault_quote(quoted, sizeof(quoted), "ab\xC3\xBC and more", 13), "ab\xC3\xBC...");
    assert_string_equal(fault_quote(quoted, sizeof(quoted), "\xFC\xFC\xFC\xFC\xFC\xFC\xFC\xFC", 8),
                        "????...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_printable_character_becomes_a_question_mark),
        cmocka_unit_test(what_a_fault_quotes_is_utf8),
        cmocka_unit_test(a_cut_quotation_ends_with_a_whole_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
