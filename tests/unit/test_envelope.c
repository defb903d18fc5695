/* envelope: addresses, the sender, and the recipients of a multidrop mailbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/envelope.h"

static void addresses_that_may_stand_in_a_path(void **state)
{
    (void)state;
    assert_true(envelope_address_ok("thomas@gmx.de", false));
    assert_true(envelope_address_ok("a.b+c=d/e@x-y.example", false));
    assert_true(envelope_address_ok("a..b.@docomo.example", false));
    assert_true(envelope_address_ok("\"a b\\\"@(\"@x", false));
    assert_true(envelope_address_ok("a@[192.0.2.1]", false));
    assert_true(envelope_address_ok("a@[IPv6:2001:db8::1]", false));
    assert_true(envelope_address_ok("m\xC3\xBCller@b\xC3\xBC"
                                    "cher.example",
                                    false));
    assert_true(envelope_address_ok("thomas", true));
    assert_false(envelope_address_ok("thomas", false));
}

static void addresses_that_may_not(void **state)
{
    static const char *const bad[] = {
        "",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "a@b c",
        "a@b>",
        "<a@b",
        "a@b\r\nRCPT TO:<c>",
        "a@.b",
        "a@b.",
        "a@b..c",
        "a@[",
        "a@[]",
        "a@[1 2]",
        "a@[1]x",
        "\"a@b",
        "\"a\"b@c",
        "\"\n\"@c",
        "\"a>\"@c",
        "a@b\x7F",
        "m\xFC@x",
        "\xC3",
        "a@\xE0\x80\x80",
        "a@\xED\xA0\x80",
        "a@\xF4\x90\x80\x80",
        "a,b@c",
        "(a)@c",
        "a@b:c",
        "\"",
        "\"\\",
    };
    char longest[300];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(envelope_address_ok(bad[i], true));
    memset(longest, 'a', sizeof(longest));
    longest[ENVELOPE_PATH_MAX - 3] = '\0';
    longest[10] = '@';
    assert_true(envelope_address_ok(longest, false));
    longest[ENVELOPE_PATH_MAX - 3] = 'a';
    longest[ENVELOPE_PATH_MAX - 2] = '\0';
    assert_false(envelope_address_ok(longest, false));
}

static void utf8_addresses_are_noticed(void **state)
{
    (void)state;
    assert_false(envelope_address_utf8("a@b"));
    assert_true(envelope_address_utf8("\xC3\xBC@b"));
}

static void expect_sender(const char *sender, const char *path, const char *expected)
{
    char dst[ENVELOPE_PATH_MAX];

    memset(dst, 'x', sizeof(dst));
    envelope_sender(sender, path, dst);
    assert_string_equal(dst, expected);
}

static void the_sender_is_the_return_path_or_what_the_fetchrc_says(void **state)
{
    (void)state;
    expect_sender("return-path", "a@b", "a@b");
    expect_sender("return-path", "", "");
    expect_sender("return-path", NULL, "");
    expect_sender("return-path", "@a,@b:c@d", "c@d");
    expect_sender("return-path", "thomas", "");
    expect_sender("return-path", "a@b> SIZE=1", "");
    expect_sender("return-path", "a@b\r\nDATA", "");
    expect_sender("<>", "a@b", "");
    expect_sender("c@d", "a@b", "c@d");
    expect_sender("thomas", NULL, "thomas");
}

/* Recipients and unknown addresses, each with '|' behind it. */
struct taken {
    char recipients[1024];
    char unknown[1024];
    size_t unknown_count;
};

static void take(void *context, const char *recipient)
{
    struct taken *taken = context;

    strcat(taken->recipients, recipient);
    strcat(taken->recipients, "|");
}

static void take_unknown(void *context, const char *address)
{
    struct taken *taken = context;

    taken->unknown_count++;
    if (strlen(taken->unknown) + strlen(address) + 2 < sizeof(taken->unknown)) {
        strcat(taken->unknown, address);
        strcat(taken->unknown, "|");
    }
}

static const struct envelope_map map[] = {
    {"@example.de", "catchall"},    {"anna@example.de", "anna"}, {"bert@example.de", "bert"},
    {"bert@example.de", "archive"}, {"a+b@example.de", "sub"},   {"@other.de", "anna"},
};
static const char *const fields[] = {"X-Original-To", "Delivered-To"};

static void expect_multidrop(const char *header, const char *recipients, const char *unknown)
{
    struct taken taken = {.recipients = ""};
    size_t count = 0;
    size_t i;

    for (i = 0; recipients[i] != '\0'; i++)
        count += recipients[i] == '|';
    assert_int_equal(envelope_multidrop(header, strlen(header), fields, 2, map, sizeof(map) / sizeof(map[0]),
                                        take, take_unknown, &taken),
                     count);
    assert_string_equal(taken.recipients, recipients);
    assert_string_equal(taken.unknown, unknown);
}

static void the_most_exact_rule_wins_whatever_the_case(void **state)
{
    (void)state;
    expect_multidrop("Delivered-To: anna@example.de\r\n", "anna|", "");
    expect_multidrop("Delivered-To: ANNA@Example.DE\r\n", "anna|", "");
    expect_multidrop("Delivered-To: carl@example.de\r\n", "catchall|", "");
    expect_multidrop("Delivered-To: bert@example.de\r\n", "bert|archive|", "");
    expect_multidrop("Delivered-To: a+b@example.de, a+c@example.de\r\n", "sub|catchall|", "");
    expect_multidrop("Delivered-To: carl@sub.example.de\r\n", "", "carl@sub.example.de|");
    expect_multidrop("Delivered-To: anna\r\n", "", "anna|");
}

static void a_star_rule_takes_the_rest(void **state)
{
    static const struct envelope_map star[] = {{"*", "rest"}, {"@example.de", "domain"}};
    static const char header[] = "Delivered-To: x@y, a@example.de, thomas\r\n";
    struct taken taken = {.recipients = ""};

    (void)state;
    assert_int_equal(
        envelope_multidrop(header, sizeof(header) - 1, fields, 2, star, 2, take, take_unknown, &taken), 2);
    assert_string_equal(taken.recipients, "rest|domain|");
}

static void the_first_named_field_that_is_there_decides(void **state)
{
    (void)state;
    expect_multidrop("Delivered-To: carl@example.de\r\nX-Original-To: anna@example.de\r\n", "anna|", "");
    expect_multidrop("To: bert@example.de\r\nCc: anna@example.de\r\n", "", "");
    expect_multidrop("delivered-to: anna@example.de\r\nDelivered-To: bert@example.de\r\n",
                     "anna|bert|archive|", "");
    expect_multidrop("A: b\r\n\r\nDelivered-To: anna@example.de\r\n", "", "");
}

static void recipients_are_taken_once(void **state)
{
    (void)state;
    expect_multidrop(
        "Delivered-To: anna@example.de, x@other.de, anna@example.de\r\nDelivered-To: y@other.de\r\n", "anna|",
        "");
}

static void address_lists_of_all_shapes(void **state)
{
    (void)state;
    expect_multidrop(
        "Delivered-To: Anna <anna@example.de>,\r\n\t\"Bert, B.\" (x, y <z@example.de>) <bert@example.de>\r\n",
        "anna|bert|archive|", "");
    expect_multidrop("Delivered-To: team: anna@example.de, <x@y.de>; (carl@example.de)\r\n", "anna|",
                     "x@y.de|");
    expect_multidrop("Delivered-To: <@relay.de,@b.de:anna@example.de>\r\n", "anna|", "");
    expect_multidrop("Delivered-To:\r\n anna@example.de (nested (and \\) more))\r\n", "anna|", "");
    expect_multidrop("Delivered-To: x@[IPv6:2001:db8::1]\r\n", "", "x@[IPv6:2001:db8::1]|");
}

static void hostile_lists_are_not_guessed_at(void **state)
{
    (void)state;
    expect_multidrop("Delivered-To: Anna anna@example.de\r\n", "", "");
    expect_multidrop("Delivered-To: <anna@example.de\r\n", "", "");
    expect_multidrop("Delivered-To: \"anna@example.de\r\n", "", "");
    expect_multidrop("Delivered-To: (anna@example.de\r\n", "", "");
    expect_multidrop("Delivered-To: <anna@example.de><bert@example.de>\r\n", "", "");
    expect_multidrop("Delivered-To: <anna@example.de><>\r\n", "", "");
    expect_multidrop("Delivered-To: (\r\nDelivered-To: anna@example.de\r\n", "anna|", "");
    expect_multidrop("Delivered-To: \"x@y, <anna@example.de>\" <z@y.de>\r\n", "", "z@y.de|");
    expect_multidrop("Delivered-To: an na@example.de,,;<>,@,:\r\n", "", "");
    expect_multidrop("Delivered-To: \"\r\nDelivered-To: anna@example.de\r\n", "anna|", "");
}

static void an_endless_list_is_cut(void **state)
{
    struct taken taken = {.recipients = ""};
    char *header = malloc(200000);
    size_t len;

    (void)state;
    assert_non_null(header);
    len = (size_t)sprintf(header, "Delivered-To: ");
    while (len < 190000)
        len += (size_t)sprintf(header + len, "x@y,");
    (void)envelope_multidrop(header, len, fields, 2, map, 2, take, take_unknown, &taken);
    assert_int_equal(taken.unknown_count, ENVELOPE_ADDRESSES_MAX);
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_may_stand_in_a_path),
        cmocka_unit_test(addresses_that_may_not),
        cmocka_unit_test(utf8_addresses_are_noticed),
        cmocka_unit_test(the_sender_is_the_return_path_or_what_the_fetchrc_says),
        cmocka_unit_test(the_most_exact_rule_wins_whatever_the_case),
        cmocka_unit_test(a_star_rule_takes_the_rest),
        cmocka_unit_test(the_first_named_field_that_is_there_decides),
        cmocka_unit_test(recipients_are_taken_once),
        cmocka_unit_test(address_lists_of_all_shapes),
        cmocka_unit_test(hostile_lists_are_not_guessed_at),
        cmocka_unit_test(an_endless_list_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
