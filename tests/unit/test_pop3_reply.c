/* Parsers of POP3 replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/pop3_reply.h"

static void expect_status(const char *line, enum pop3_status status, enum pop3_code code, const char *text)
{
    enum pop3_code got_code;
    const char *got_text;

    assert_int_equal(pop3_parse_status(line, strlen(line), &got_text, &got_code), status);
    assert_int_equal(got_code, code);
    assert_string_equal(got_text, text);
}

static void a_status_line_is_ok_or_err_or_garbage(void **state)
{
    (void)state;
    expect_status("+OK", POP3_OK, POP3_CODE_NONE, "");
    expect_status("+OK 8 messages", POP3_OK, POP3_CODE_NONE, "8 messages");
    expect_status("-ERR no such message", POP3_ERR, POP3_CODE_NONE, "no such message");
    expect_status("-ERR", POP3_ERR, POP3_CODE_NONE, "");
    expect_status("+OKAY", POP3_GARBAGE, POP3_CODE_NONE, "+OKAY");
    expect_status("+ok", POP3_GARBAGE, POP3_CODE_NONE, "+ok");
    expect_status("-ERROR", POP3_GARBAGE, POP3_CODE_NONE, "-ERROR");
    expect_status("", POP3_GARBAGE, POP3_CODE_NONE, "");
    expect_status("220 smtp", POP3_GARBAGE, POP3_CODE_NONE, "220 smtp");
}

static void response_codes_are_known_whatever_their_case(void **state)
{
    (void)state;
    expect_status("-ERR [AUTH] wrong password", POP3_ERR, POP3_CODE_AUTH, "[AUTH] wrong password");
    expect_status("-ERR [in-use] busy", POP3_ERR, POP3_CODE_IN_USE, "[in-use] busy");
    expect_status("-ERR [LOGIN-DELAY] wait", POP3_ERR, POP3_CODE_LOGIN_DELAY, "[LOGIN-DELAY] wait");
    expect_status("-ERR [SYS/TEMP]", POP3_ERR, POP3_CODE_SYS_TEMP, "[SYS/TEMP]");
    expect_status("-ERR [SYS/PERM]", POP3_ERR, POP3_CODE_SYS_PERM, "[SYS/PERM]");
    expect_status("-ERR [AUTHX] no", POP3_ERR, POP3_CODE_OTHER, "[AUTHX] no");
    expect_status("-ERR [] no", POP3_ERR, POP3_CODE_OTHER, "[] no");
    expect_status("-ERR [AUTH no end", POP3_ERR, POP3_CODE_NONE, "[AUTH no end");
    expect_status("-ERR no [AUTH]", POP3_ERR, POP3_CODE_NONE, "no [AUTH]");
}

static enum fault_class class_of(const char *line, bool login)
{
    return pop3_refusal_class(line, strlen(line), login);
}

static void a_refused_login_is_passing_only_if_the_server_says_so(void **state)
{
    (void)state;
    assert_int_equal(class_of("-ERR [AUTH] wrong password", true), FAULT_LOGIN);
    assert_int_equal(class_of("-ERR [AUTH] too many failures, try again", true), FAULT_LOGIN);
    assert_int_equal(class_of("-ERR wrong password", true), FAULT_LOGIN);
    assert_int_equal(class_of("-ERR", true), FAULT_LOGIN);
    assert_int_equal(class_of("-ERR Your account is locked", true), FAULT_LOGIN);
    assert_int_equal(class_of("-ERR [IN-USE] x", true), FAULT_RETRY);
    assert_int_equal(class_of("-ERR [SYS/TEMP] x", true), FAULT_RETRY);
    assert_int_equal(class_of("-ERR [LOGIN-DELAY] x", true), FAULT_RETRY);
    assert_int_equal(class_of("-ERR Unable to lock maildrop", true), FAULT_RETRY);
    assert_int_equal(class_of("-ERR maildrop already locked", true), FAULT_RETRY);
    assert_int_equal(class_of("-ERR Temporary failure", true), FAULT_RETRY);
    assert_int_equal(class_of("-ERR Please Try Again later", true), FAULT_RETRY);
    assert_int_equal(class_of("-ERR [SYS/PERM] call us", true), FAULT_PROTOCOL);
    assert_int_equal(class_of("+OK", true), FAULT_PROTOCOL);
}

static void a_refused_greeting_passes_unless_it_says_otherwise(void **state)
{
    (void)state;
    assert_int_equal(class_of("-ERR go away", false), FAULT_RETRY);
    assert_int_equal(class_of("-ERR [SYS/TEMP] x", false), FAULT_RETRY);
    assert_int_equal(class_of("-ERR [SYS/PERM] x", false), FAULT_PROTOCOL);
    assert_int_equal(class_of("-ERR [AUTH] x", false), FAULT_LOGIN);
    assert_int_equal(class_of("hello", false), FAULT_PROTOCOL);
}

static void expect_pair(const char *line, bool good, uint64_t number, bool has_octets, uint64_t octets)
{
    uint64_t got_number, got_octets;
    bool got_has;

    assert_int_equal(pop3_parse_pair(line, strlen(line), &got_number, &got_octets, &got_has), good);
    if (!good)
        return;
    assert_int_equal(got_number, number);
    assert_int_equal(got_has, has_octets);
    assert_int_equal(got_octets, octets);
}

static void a_pair_is_a_number_and_octets(void **state)
{
    (void)state;
    expect_pair("12 3456", true, 12, true, 3456);
    expect_pair("12  3456 and more", true, 12, true, 3456);
    expect_pair("12", true, 12, false, 0);
    expect_pair("12 ", true, 12, false, 0);
    expect_pair("12 many", true, 12, false, 0);
    expect_pair("12 34x", true, 12, false, 0);
    expect_pair("18446744073709551615 18446744073709551615", true, UINT64_MAX, true, UINT64_MAX);
    expect_pair("18446744073709551616 1", false, 0, false, 0);
    expect_pair("1 18446744073709551616", true, 1, false, 0);
    expect_pair("12x 1", false, 0, false, 0);
    expect_pair("-1 1", false, 0, false, 0);
    expect_pair("", false, 0, false, 0);
    expect_pair("one 1", false, 0, false, 0);
}

static void expect_uid(const char *line, size_t len, const char *uid)
{
    uint64_t number;
    const char *got;
    size_t got_len;
    bool good = pop3_parse_uid(line, len, &number, &got, &got_len);

    assert_int_equal(good, uid != NULL);
    if (uid == NULL)
        return;
    assert_int_equal(number, 7);
    assert_int_equal(got_len, strlen(uid));
    assert_memory_equal(got, uid, got_len);
}

static void a_uid_may_be_long_but_not_hold_blanks_or_controls(void **state)
{
    char line[1100] = "7 ";

    (void)state;
    expect_uid("7 whqtswO00WBw418f9t5JxYwZ", 26, "whqtswO00WBw418f9t5JxYwZ");
    expect_uid("7 a ", 4, "a");
    expect_uid("7 \xC3\xA4", 4, "\xC3\xA4");
    expect_uid("7 a b", 5, NULL);
    expect_uid("7 a\0b", 5, NULL);
    expect_uid("7 a\x7F", 4, NULL);
    expect_uid("7 ", 2, NULL);
    expect_uid("7", 1, NULL);
    expect_uid("x 7", 3, NULL);
    memset(line + 2, 'u', 1001);
    expect_uid(line, 1003, NULL);
    line[1002] = '\0';
    expect_uid(line, 1002, line + 2);
}

static struct pop3_capabilities parse(const char *line)
{
    struct pop3_capabilities capabilities = {0};

    pop3_parse_capability(line, strlen(line), &capabilities);
    return capabilities;
}

static void capabilities_are_read_with_their_arguments(void **state)
{
    (void)state;
    assert_true(parse("PIPELINING").pipelining);
    assert_true(parse("pipelining ").pipelining);
    assert_false(parse("PIPELININGX").pipelining);
    assert_true(parse("UIDL").uidl);
    assert_true(parse("TOP").top);
    assert_true(parse("STLS").stls);
    assert_true(parse("SASL PLAIN LOGIN").sasl_plain);
    assert_true(parse("SASL CRAM-MD5 PLAIN").sasl_plain);
    assert_false(parse("SASL PLAIN-X").sasl_plain);
    assert_true(parse("SASL XOAUTH2 OAUTHBEARER").sasl_oauthbearer);
    assert_false(parse("SASL").sasl_plain);
    assert_int_equal(parse("LOGIN-DELAY 900").login_delay, 900);
    assert_int_equal(parse("LOGIN-DELAY 900 USER").login_delay, 900);
    assert_false(parse("LOGIN-DELAY").login_delay_given);
    assert_false(parse("LOGIN-DELAY soon").login_delay_given);
    assert_int_equal(parse("LOGIN-DELAY 99999999999").login_delay, INT32_MAX);
    assert_true(parse("EXPIRE NEVER").expire_never);
    assert_true(parse("EXPIRE 0").expire_given);
    assert_int_equal(parse("EXPIRE 30 USER").expire_days, 30);
    assert_string_equal(parse("IMPLEMENTATION Dove \x1B[2J cot").implementation, "Dove ?[2J cot");
    (void)parse("");
}

static void expect_stamp(const char *greeting, const char *stamp)
{
    const char *got;
    size_t len;
    bool good = pop3_parse_timestamp(greeting, strlen(greeting), &got, &len);

    assert_int_equal(good, stamp != NULL);
    if (stamp != NULL) {
        assert_int_equal(len, strlen(stamp));
        assert_memory_equal(got, stamp, len);
    }
}

static void a_timestamp_is_a_message_id_and_nothing_else(void **state)
{
    (void)state;
    expect_stamp("+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>",
                 "<1896.697170952@dbc.mtview.ca.us>");
    expect_stamp("+OK <a@b> bye", "<a@b>");
    expect_stamp("+OK ready", NULL);
    expect_stamp("+OK <no-at-sign>", NULL);
    expect_stamp("+OK <a@b", NULL);
    expect_stamp("+OK <a b@c>", NULL);
    expect_stamp("+OK <a\x80@c>", NULL);
    expect_stamp("+OK <<a@c>", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_line_is_ok_or_err_or_garbage),
        cmocka_unit_test(response_codes_are_known_whatever_their_case),
        cmocka_unit_test(a_refused_login_is_passing_only_if_the_server_says_so),
        cmocka_unit_test(a_refused_greeting_passes_unless_it_says_otherwise),
        cmocka_unit_test(a_pair_is_a_number_and_octets),
        cmocka_unit_test(a_uid_may_be_long_but_not_hold_blanks_or_controls),
        cmocka_unit_test(capabilities_are_read_with_their_arguments),
        cmocka_unit_test(a_timestamp_is_a_message_id_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
