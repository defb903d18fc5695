/* OAuth2 without a network: forms, answers, PKCE, redirects, file names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/oauth_private.h"

static void a_form_encodes_all_but_unreserved_characters(void **state)
{
    struct oauth_form form;

    (void)state;
    oauth_form_init(&form);
    oauth_form_add(&form, "scope", "https://mail.google.com/ a-b._~");
    oauth_form_add(&form, "left_out", NULL);
    oauth_form_add_secret(&form, "client_secret", "a&b=c+%\xc3\xa4");
    assert_string_equal(
        form.text.data,
        "scope=https%3A%2F%2Fmail.google.com%2F%20a-b._~&client_secret=a%26b%3Dc%2B%25%C3%A4");
    assert_int_equal(form.secret_count, 1);
    assert_false(form.broken);
    oauth_form_free(&form);
}

static void a_form_that_is_too_long_is_marked_broken(void **state)
{
    struct oauth_form form;
    char *huge = malloc(100000);

    (void)state;
    memset(huge, 'a', 99999);
    huge[99999] = '\0';
    oauth_form_init(&form);
    oauth_form_add(&form, "x", huge);
    assert_true(form.broken);
    oauth_form_free(&form);
    free(huge);
}

static void pkce_gives_the_challenge_of_rfc_7636_appendix_b(void **state)
{
    char challenge[OAUTH_RANDOM_SIZE];

    (void)state;
    oauth_pkce_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", challenge);
    assert_string_equal(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

static void random_texts_are_43_url_safe_characters_and_differ(void **state)
{
    char a[OAUTH_RANDOM_SIZE];
    char b[OAUTH_RANDOM_SIZE];

    (void)state;
    assert_int_equal(oauth_random(a), 0);
    assert_int_equal(oauth_random(b), 0);
    assert_int_equal(strlen(a), 43);
    assert_int_equal(strspn(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
    assert_string_not_equal(a, b);
}

static int parse(const char *text, struct oauth_answer *answer)
{
    const char *why = NULL;
    int result = oauth_answer_parse(text, strlen(text), answer, &why);

    if (result < 0)
        assert_non_null(why);
    return result;
}

static void an_answer_gives_its_tokens(void **state)
{
    struct oauth_answer answer;

    (void)state;
    assert_int_equal(parse("{\"access_token\":\"at\",\"token_type\":\"bearer\",\"expires_in\":3600,"
                           "\"refresh_token\":\"rt\",\"scope\":\"x\",\"more\":[1]}",
                           &answer),
                     0);
    assert_string_equal(answer.access_token, "at");
    assert_string_equal(answer.refresh_token, "rt");
    assert_int_equal(answer.expires_in, 3600);
    assert_string_equal(answer.error, "");
    oauth_answer_free(&answer);
    assert_int_equal(parse("{\"access_token\":\"at\",\"expires_in\":\"3599\"}", &answer), 0);
    assert_null(answer.refresh_token);
    assert_int_equal(answer.expires_in, 3599);
    oauth_answer_free(&answer);
    assert_int_equal(parse("{\"access_token\":\"at\",\"token_type\":\"Bearer\"}", &answer), 0);
    assert_int_equal(answer.expires_in, 0);
    oauth_answer_free(&answer);
    assert_int_equal(parse("{\"access_token\":\"at\",\"expires_in\":99999999999999}", &answer), 0);
    assert_int_equal(answer.expires_in, 366 * 24 * 3600);
    oauth_answer_free(&answer);
}

static void an_answer_with_an_error_gives_the_error(void **state)
{
    struct oauth_answer answer;

    (void)state;
    assert_int_equal(parse("{\"error\":\"invalid_grant\",\"error_description\":\"gone\\u0007\"}", &answer),
                     0);
    assert_string_equal(answer.error, "invalid_grant");
    assert_string_equal(answer.description, "gone\a");
    assert_null(answer.access_token);
    oauth_answer_free(&answer);
    /* Never both. */
    assert_int_equal(parse("{\"error\":\"x\",\"access_token\":\"at\"}", &answer), 0);
    assert_null(answer.access_token);
    oauth_answer_free(&answer);
}

static void a_malformed_answer_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "\"at\"",
        "null",
        "{}",
        "{\"access_token\":\"\"}",
        "{\"access_token\":1}",
        "{\"access_token\":\"at\"} x",
        "{\"access_token\":\"at\",\"access_token\":\"b\"}",
        "{\"access_token\":\"a\\u0001auth=x\"}",
        "{\"access_token\":\"a b\"}",
        "{\"access_token\":\"a\\u0000b\"}",
        "{\"access_token\":\"\xff\"}",
        "{\"access_token\":\"at\",\"refresh_token\":\"a\\nb\"}",
        "{\"access_token\":\"at\",\"refresh_token\":{}}",
        "{\"access_token\":\"at\",\"token_type\":\"mac\"}",
        "{\"access_token\":\"at\",\"token_type\":1}",
        "{\"access_token\":\"at\",\"expires_in\":-1}",
        "{\"access_token\":\"at\",\"expires_in\":\"1e9\"}",
        "{\"access_token\":\"at\",\"expires_in\":true}",
        "{\"error\":5}",
        "{\"error\":\"\"}",
        "{\"error\":null}",
        "<html>",
        "'at'",
        "{\"error\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}",
    };
    struct oauth_answer answer;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse(bad[i], &answer) == 0)
            fail_msg("taken: %s", bad[i]);
}

static void a_token_longer_than_the_cap_is_refused(void **state)
{
    char *text = malloc(OAUTH_TOKEN_MAX + 100);
    struct oauth_answer answer;
    int head = sprintf(text, "{\"access_token\":\"");

    (void)state;
    memset(text + head, 'a', OAUTH_TOKEN_MAX);
    strcpy(text + head + OAUTH_TOKEN_MAX, "\"}");
    assert_int_equal(parse(text, &answer), 0);
    oauth_answer_free(&answer);
    strcpy(text + head + OAUTH_TOKEN_MAX, "a\"}");
    assert_int_equal(parse(text, &answer), -1);
    free(text);
}

static void a_device_answer_gives_code_and_address(void **state)
{
    static const char rfc[] =
        "{\"device_code\":\"GmRh\",\"user_code\":\"WDJB-MJHT\",\"verification_uri\":\"https://e.com/d\","
        "\"verification_uri_complete\":\"https://e.com/d?user_code=WDJB-MJHT\","
        "\"expires_in\":1800,\"interval\":7}";
    static const char google[] =
        "{\"device_code\":\"d\",\"user_code\":\"u\",\"verification_url\":\"https://g.co/device\","
        "\"expires_in\":1800}";
    struct oauth_device device;
    const char *why;

    (void)state;
    assert_int_equal(oauth_device_parse(rfc, strlen(rfc), &device, &why), 0);
    assert_string_equal(device.device_code, "GmRh");
    assert_string_equal(device.user_code, "WDJB-MJHT");
    assert_string_equal(device.uri, "https://e.com/d");
    assert_string_equal(device.uri_complete, "https://e.com/d?user_code=WDJB-MJHT");
    assert_int_equal(device.interval, 7);
    oauth_device_free(&device);
    assert_int_equal(oauth_device_parse(google, strlen(google), &device, &why), 0);
    assert_string_equal(device.uri, "https://g.co/device");
    assert_string_equal(device.uri_complete, "");
    assert_int_equal(device.interval, 5);
    oauth_device_free(&device);
}

static void a_device_answer_that_would_write_to_the_terminal_is_refused(void **state)
{
    static const char *const bad[] = {
        "{\"device_code\":\"d\",\"user_code\":\"\\u001b[2J\",\"verification_uri\":\"https://"
        "e\",\"expires_in\":9}",
        "{\"device_code\":\"d\",\"user_code\":\"u\",\"verification_uri\":\"https://e\\n\",\"expires_in\":9}",
        "{\"device_code\":\"d\",\"user_code\":\"u\",\"expires_in\":9}",
        "{\"device_code\":\"d\",\"user_code\":\"u\",\"verification_uri\":\"https://e\"}",
        "{\"user_code\":\"u\",\"verification_uri\":\"https://e\",\"expires_in\":9}",
        "{\"device_code\":\"d\",\"user_code\":\"u\",\"verification_uri\":\"https://"
        "e\",\"expires_in\":9,\"interval\":-1}",
    };
    struct oauth_device device;
    const char *why;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (oauth_device_parse(bad[i], strlen(bad[i]), &device, &why) == 0)
            fail_msg("taken: %s", bad[i]);
}

static void a_redirect_gives_the_code_only_with_its_state(void **state)
{
    char code[64];

    (void)state;
    assert_int_equal(oauth_redirect_parse("GET /?state=S1&code=4%2F0Ab%2BC HTTP/1.1", "S1", false, code, 64),
                     OAUTH_REDIRECT_CODE);
    assert_string_equal(code, "4/0Ab+C");
    assert_int_equal(oauth_redirect_parse("http://127.0.0.1:9/?code=abc&state=S1#x", "S1", true, code, 64),
                     OAUTH_REDIRECT_CODE);
    assert_string_equal(code, "abc");
    assert_int_equal(oauth_redirect_parse("http://127.0.0.1:9/?error=access_denied&state=S1", "S1", true,
                                          code, 64),
                     OAUTH_REDIRECT_DENIED);
    assert_string_equal(code, "access_denied");
    assert_int_equal(oauth_redirect_parse("GET /?code=abc&state=S2 HTTP/1.1", "S1", false, code, 64),
                     OAUTH_REDIRECT_NONE);
    assert_int_equal(oauth_redirect_parse("GET /?code=abc HTTP/1.1", "S1", false, code, 64),
                     OAUTH_REDIRECT_NONE);
    assert_int_equal(oauth_redirect_parse("GET /?code=a%01b&state=S1 HTTP/1.1", "S1", false, code, 64),
                     OAUTH_REDIRECT_NONE);
    assert_int_equal(oauth_redirect_parse("GET /?code=a%2&state=S1 HTTP/1.1", "S1", false, code, 64),
                     OAUTH_REDIRECT_NONE);
    assert_int_equal(oauth_redirect_parse("GET /favicon.ico HTTP/1.1", "S1", false, code, 64),
                     OAUTH_REDIRECT_NONE);
    assert_int_equal(oauth_redirect_parse("GET /?state=S1&code=0123456789 HTTP/1.1", "S1", false, code, 8),
                     OAUTH_REDIRECT_NONE);
}

static void a_bare_code_is_taken_from_a_person_only(void **state)
{
    char code[64];

    (void)state;
    assert_int_equal(oauth_redirect_parse("  4/0Ab+C= \r", "S1", true, code, 64), OAUTH_REDIRECT_CODE);
    assert_string_equal(code, "4/0Ab+C=");
    assert_int_equal(oauth_redirect_parse("4%2F0Ab", "S1", true, code, 64), OAUTH_REDIRECT_CODE);
    assert_string_equal(code, "4/0Ab");
    assert_int_equal(oauth_redirect_parse("code=abc&state=S1", "S1", true, code, 64), OAUTH_REDIRECT_CODE);
    assert_string_equal(code, "abc");
    assert_int_equal(oauth_redirect_parse("", "S1", true, code, 64), OAUTH_REDIRECT_NONE);
    assert_int_equal(oauth_redirect_parse("abc", "S1", false, code, 64), OAUTH_REDIRECT_NONE);
}

static void a_secret_that_the_server_quotes_is_masked(void **state)
{
    char text[] = "token sesame-1 and sesame-1 are unknown";

    (void)state;
    oauth_mask(text, "sesame-1");
    assert_string_equal(text, "token *** and *** are unknown");
    oauth_mask(text, "un");
    assert_string_equal(text, "token *** and *** are unknown");
    oauth_mask(text, NULL);
}

static void a_secret_that_is_quoted_percent_encoded_is_masked(void **state)
{
    char text[] = "refresh_token=1%2F%2f0gAB%20c&x=1%2F/0gAB+c, 1//0gAB c and 1%2F%2F0gAX%2";
    char percent[] = "50%25off 50%off 50%2";

    (void)state;
    oauth_mask(text, "1//0gAB c");
    assert_string_equal(text, "refresh_token=***&x=***, *** and 1%2F%2F0gAX%2");
    oauth_mask(percent, "50%off");
    assert_string_equal(percent, "*** *** 50%2");
}

static void a_file_name_is_readable_and_stays_in_its_directory(void **state)
{
    char a[128];
    char b[128];

    (void)state;
    oauth_file_name("thomas@gmail.com@pop.gmail.com", a, sizeof(a));
    assert_true(strncmp(a, "thomas@gmail.com@pop.gmail.com-", 31) == 0);
    assert_string_equal(a + strlen(a) - 5, ".json");
    oauth_file_name("../../etc/x@h", a, sizeof(a));
    assert_null(strchr(a, '/'));
    assert_true(a[0] != '.');
    oauth_file_name("a/b@h", a, sizeof(a));
    oauth_file_name("a_b@h", b, sizeof(b));
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_encodes_all_but_unreserved_characters),
        cmocka_unit_test(a_form_that_is_too_long_is_marked_broken),
        cmocka_unit_test(pkce_gives_the_challenge_of_rfc_7636_appendix_b),
        cmocka_unit_test(random_texts_are_43_url_safe_characters_and_differ),
        cmocka_unit_test(an_answer_gives_its_tokens),
        cmocka_unit_test(an_answer_with_an_error_gives_the_error),
        cmocka_unit_test(a_malformed_answer_is_refused),
        cmocka_unit_test(a_token_longer_than_the_cap_is_refused),
        cmocka_unit_test(a_device_answer_gives_code_and_address),
        cmocka_unit_test(a_device_answer_that_would_write_to_the_terminal_is_refused),
        cmocka_unit_test(a_redirect_gives_the_code_only_with_its_state),
        cmocka_unit_test(a_bare_code_is_taken_from_a_person_only),
        cmocka_unit_test(a_secret_that_the_server_quotes_is_masked),
        cmocka_unit_test(a_secret_that_is_quoted_percent_encoded_is_masked),
        cmocka_unit_test(a_file_name_is_readable_and_stays_in_its_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
