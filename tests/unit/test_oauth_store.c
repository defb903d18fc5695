/* OAuth2 without a network: the token file, and when a token is asked for anew. */
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

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
