/* OAuth2 without a network: forms, answers, PKCE, redirects, the token file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/oauth_private.h"
#include "store/lock.h"

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

struct place {
    char dir[64];
    struct oauth_params params;
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    strcpy(place->dir, "/tmp/popferry-oauth-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    place->params = (struct oauth_params){
        .account = "gmail",
        .identity = "me@pop.example",
        .state_dir = place->dir,
        .client_id = "client",
        .timeout = 1,
        .token_endpoint = "http://127.0.0.1:1/token", /* nobody is there */
    };
    *state = place;
    return 0;
}

static int drop_place(void **state)
{
    struct place *place = *state;
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", place->dir);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static void store(const struct place *place, const struct oauth_file *file)
{
    struct oauth_slot slot;
    struct fault fault;

    if (oauth_slot_open(&place->params, &slot, &fault) < 0 || oauth_slot_commit(&slot, file, &fault) < 0)
        fail_msg("%s", fault.text);
}

/* strdup() without the const that literals have. */
static char *s(const char *text)
{
    return strdup(text);
}

static struct oauth_file sample(void)
{
    int64_t now = (int64_t)time(NULL);

    return (struct oauth_file){.token_endpoint = s("http://127.0.0.1:1/token"),
                               .client_id = s("client"),
                               .refresh_token = s("rt-2"),
                               .previous = s("rt-1"),
                               .access_token = s("at-2"),
                               .obtained_at = now,
                               .expires_at = now + 3600};
}

static void a_token_file_comes_back_as_it_was_stored(void **state)
{
    struct place *place = *state;
    struct oauth_file file = sample();
    struct oauth_file back;
    struct fault fault;
    struct stat info;
    char path[256];
    char name[128];

    store(place, &file);
    assert_int_equal(oauth_file_load(&place->params, &back, &fault), 0);
    assert_string_equal(back.refresh_token, "rt-2");
    assert_string_equal(back.previous, "rt-1");
    assert_string_equal(back.access_token, "at-2");
    assert_null(back.origin);
    assert_true(back.expires_at == file.expires_at);
    oauth_file_name(place->params.identity, name, sizeof(name));
    (void)snprintf(path, sizeof(path), "%s/oauth/%s", place->dir, name);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_true(info.st_size < 1000);
    (void)snprintf(path, sizeof(path), "%s/oauth", place->dir);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    oauth_file_free(&file);
    oauth_file_free(&back);
}

static void a_damaged_token_file_is_a_fault_and_not_an_empty_one(void **state)
{
    static const char *const bad[] = {
        "", "{", "{}", "[]", "{\"token_endpoint\":\"x\",\"client_id\":\"y\",\"refresh_token\":\"a b\"}"};
    struct place *place = *state;
    struct oauth_file file = sample();
    struct fault fault;
    char path[256];
    char name[128];
    size_t i;

    store(place, &file);
    oauth_file_free(&file);
    oauth_file_name(place->params.identity, name, sizeof(name));
    (void)snprintf(path, sizeof(path), "%s/oauth/%s", place->dir, name);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        (void)fputs(bad[i], out);
        (void)fclose(out);
        assert_int_equal(oauth_file_load(&place->params, &file, &fault), -1);
        assert_int_equal(fault.class, FAULT_STATE);
    }
}

static void an_abandoned_refresh_leaves_the_old_file_and_no_litter(void **state)
{
    struct place *place = *state;
    struct oauth_file file = sample();
    struct oauth_file back;
    struct oauth_slot slot;
    struct fault fault;
    char path[512];

    store(place, &file);
    assert_int_equal(oauth_slot_open(&place->params, &slot, &fault), 0);
    (void)snprintf(path, sizeof(path), "%s/oauth/%s", place->dir, slot.temp);
    assert_int_equal(access(path, F_OK), 0);
    oauth_slot_close(&slot);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(oauth_file_load(&place->params, &back, &fault), 0);
    assert_string_equal(back.refresh_token, "rt-2");
    oauth_file_free(&file);
    oauth_file_free(&back);
}

static struct oauth_answer tokens(const char *access, const char *refresh)
{
    return (struct oauth_answer){.access_token = s(access),
                                 .refresh_token = refresh == NULL ? NULL : s(refresh),
                                 .expires_in = 100};
}

static void a_rotated_token_keeps_the_one_before_until_it_has_served(void **state)
{
    struct place *place = *state;
    struct oauth_file file = sample();
    struct oauth_answer answer = tokens("at-3", "rt-3");

    assert_int_equal(oauth_file_take(&place->params, &file, &answer), 0);
    oauth_answer_free(&answer);
    assert_string_equal(file.access_token, "at-3");
    assert_string_equal(file.refresh_token, "rt-3");
    assert_string_equal(file.previous, "rt-2");
    answer = tokens("at-4", NULL);
    assert_int_equal(oauth_file_take(&place->params, &file, &answer), 0);
    oauth_answer_free(&answer);
    assert_string_equal(file.refresh_token, "rt-3");
    assert_null(file.previous);
    oauth_file_free(&file);
}

static void a_cached_token_is_handed_out_without_asking_anybody(void **state)
{
    struct place *place = *state;
    struct oauth_file file = sample();
    struct fault fault;
    struct buf token;

    store(place, &file);
    oauth_file_free(&file);
    buf_init(&token, OAUTH_TOKEN_MAX);
    assert_int_equal(oauth_token(&place->params, NULL, &token, &fault), 0);
    assert_string_equal(token.data, "at-2");
    assert_int_equal(oauth_token(&place->params, "at-1", &token, &fault), 0);
    assert_string_equal(token.data, "at-2");
    buf_free(&token);
}

/* Whether the stored token is asked for anew, which fails here since nobody answers. */
static void assert_asks(const struct place *place, const struct oauth_file *file, const char *refuse)
{
    struct fault fault;
    struct buf token;

    store(place, file);
    buf_init(&token, OAUTH_TOKEN_MAX);
    assert_int_equal(oauth_token(&place->params, refuse, &token, &fault), -1);
    assert_int_equal(fault.class, FAULT_RETRY);
    assert_int_equal(token.len, 0);
    buf_free(&token);
}

static void a_token_is_renewed_a_minute_before_its_end_when_refused_or_when_the_clock_jumped(void **state)
{
    struct place *place = *state;
    struct oauth_file file = sample();
    int64_t now = (int64_t)time(NULL);

    assert_asks(place, &file, "at-2");
    file.expires_at = now + 59;
    assert_asks(place, &file, NULL);
    file.expires_at = 0;
    assert_asks(place, &file, NULL);
    file.expires_at = now + 9000;
    file.obtained_at = now + 5400;
    assert_asks(place, &file, NULL);
    oauth_file_free(&file);
}

static void a_token_is_never_sent_to_another_server_or_for_another_client(void **state)
{
    struct place *place = *state;
    struct oauth_file file = sample();
    struct fault fault;
    struct buf token;

    store(place, &file);
    oauth_file_free(&file);
    buf_init(&token, OAUTH_TOKEN_MAX);
    place->params.token_endpoint = "http://127.0.0.1:2/token";
    assert_int_equal(oauth_token(&place->params, NULL, &token, &fault), -1);
    assert_int_equal(fault.class, FAULT_LOGIN);
    assert_non_null(strstr(fault.text, "popferry authorize gmail"));
    place->params.token_endpoint = "http://127.0.0.1:1/token";
    place->params.client_id = "another";
    assert_int_equal(oauth_token(&place->params, NULL, &token, &fault), -1);
    assert_int_equal(fault.class, FAULT_LOGIN);
}

static void a_configured_refresh_token_that_changed_wins_over_the_stored_one(void **state)
{
    struct place *place = *state;
    struct oauth_file file = sample();
    struct oauth_answer answer = tokens("at-3", "rt-3");
    struct fault fault;
    struct buf token;

    place->params.refresh_token = "original";
    assert_int_equal(oauth_file_take(&place->params, &file, &answer), 0);
    oauth_answer_free(&answer);
    assert_non_null(file.origin);
    store(place, &file);
    oauth_file_free(&file);
    buf_init(&token, OAUTH_TOKEN_MAX);
    assert_int_equal(oauth_token(&place->params, NULL, &token, &fault),
                     0); /* the cached one, which came from it */
    buf_wipe(&token);
    place->params.refresh_token = "changed";
    assert_int_equal(oauth_token(&place->params, NULL, &token, &fault), -1);
    assert_int_equal(fault.class, FAULT_RETRY); /* it asked */
    buf_free(&token);
}

static void an_account_without_a_token_says_what_to_run(void **state)
{
    struct place *place = *state;
    struct fault fault;
    struct buf token;

    buf_init(&token, OAUTH_TOKEN_MAX);
    assert_int_equal(oauth_token(&place->params, NULL, &token, &fault), -1);
    assert_int_equal(fault.class, FAULT_LOGIN);
    assert_string_equal(fault.text, "no token yet; run popferry authorize gmail");
}

static void clear_text_goes_to_this_machine_only(void **state)
{
    static const char *const bad[] = {"http://example.com/token",
                                      "http://127.example.com/",
                                      "http://128.0.0.1/",
                                      "ftp://127.0.0.1/",
                                      "file:///etc/passwd",
                                      "example.com/token",
                                      ""};
    struct place *place = *state;
    struct oauth_form form;
    struct fault fault;
    struct buf body;
    long status;
    size_t i;

    oauth_form_init(&form);
    oauth_form_add(&form, "a", "b");
    buf_init(&body, 100);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(oauth_post(&place->params, bad[i], &form, &body, &status, &fault), -1);
        if (fault.class != FAULT_CONFIG)
            fail_msg("%s: %s", bad[i], fault.text);
    }
    assert_int_equal(oauth_post(&place->params, "http://[::1]:1/", &form, &body, &status, &fault), -1);
    assert_int_equal(fault.class, FAULT_RETRY);
    oauth_form_free(&form);
    buf_free(&body);
}

int main(void)
{
#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, drop_place)
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
        cmocka_unit_test(a_file_name_is_readable_and_stays_in_its_directory),
        WITH_PLACE(a_token_file_comes_back_as_it_was_stored),
        WITH_PLACE(a_damaged_token_file_is_a_fault_and_not_an_empty_one),
        WITH_PLACE(an_abandoned_refresh_leaves_the_old_file_and_no_litter),
        WITH_PLACE(a_rotated_token_keeps_the_one_before_until_it_has_served),
        WITH_PLACE(a_cached_token_is_handed_out_without_asking_anybody),
        WITH_PLACE(a_token_is_renewed_a_minute_before_its_end_when_refused_or_when_the_clock_jumped),
        WITH_PLACE(a_token_is_never_sent_to_another_server_or_for_another_client),
        WITH_PLACE(a_configured_refresh_token_that_changed_wins_over_the_stored_one),
        WITH_PLACE(an_account_without_a_token_says_what_to_run),
        WITH_PLACE(clear_text_goes_to_this_machine_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
