/* pop3: listing a mailbox. */
#include <stdlib.h>

#include "pop3_client.h"

static void list_ok(const struct step *steps, size_t count, enum pop3_pipelining pipelining,
                    struct pop3_listing *listing)
{
    struct fixture fixture;
    struct fault fault;

    begin(&fixture, steps, count, pipelining);
    if (pop3_list(fixture.pop3, listing, &fault) < 0)
        fail_msg("%s", fault.text);
    end(&fixture);
}

static void list_fails(const struct step *steps, size_t count, enum fault_class class, const char *words)
{
    struct pop3_listing listing;
    struct fixture fixture;
    struct fault fault;

    begin(&fixture, steps, count, POP3_PIPELINING_AUTO);
    assert_int_equal(pop3_list(fixture.pop3, &listing, &fault), -1);
    if (strstr(fault.text, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", fault.text, words);
    assert_int_equal(fault.class, class);
    assert_null(listing.entries);
    end(&fixture);
}

static void expect_entry(const struct pop3_listing *listing, size_t i, unsigned number, int64_t octets,
                         const char *uid)
{
    const struct pop3_entry *entry = &listing->entries[i];

    assert_true(i < listing->count);
    assert_int_equal(entry->number, number);
    assert_int_equal(entry->has_octets, octets >= 0);
    assert_int_equal(entry->octets, octets >= 0 ? octets : 0);
    if (uid == NULL)
        assert_null(entry->uid);
    else
        assert_string_equal(entry->uid, uid);
}

static void a_listing_is_asked_for_in_one_batch(void **state)
{
    static const struct step steps[] = {
        GREETING,
        CAPA_PIPELINING,
        {.expect = "STAT"},
        {.expect = "UIDL"},
        {.expect = "LIST"},
        {.expect = "CAPA",
         .send = "+OK 2 300\r\n+OK\r\n1 aa\r\n2 bb\r\n.\r\n+OK\r\n1 100\r\n2 200\r\n.\r\n"
                 "+OK\r\nEXPIRE 0\r\n.\r\n"}};
    struct pop3_listing listing;
    struct fixture fixture;
    struct fault fault;

    (void)state;
    begin(&fixture, steps, COUNT(steps), POP3_PIPELINING_AUTO);
    assert_true(pop3_pipelining(fixture.pop3));
    assert_int_equal(pop3_list(fixture.pop3, &listing, &fault), 0);
    assert_int_equal(listing.count, 2);
    expect_entry(&listing, 0, 1, 100, "aa");
    expect_entry(&listing, 1, 2, 200, "bb");
    assert_int_equal(listing.stat_count, 2);
    assert_int_equal(listing.stat_octets, 300);
    assert_true(listing.has_uidl);
    assert_true(pop3_capabilities(fixture.pop3)->expire_given);
    assert_false(pop3_capabilities(fixture.pop3)->uidl);
    pop3_listing_free(&listing);
    end(&fixture);
}

static void or_one_question_at_a_time(void **state)
{
    static const struct step steps[] = {GREETING,
                                        CAPA_UIDL,
                                        {.expect = "STAT", .alone = true, .send = "+OK 1 100\r\n"},
                                        {.expect = "UIDL", .alone = true, .send = "+OK\r\n1 aa\r\n.\r\n"},
                                        {.expect = "LIST", .alone = true, .send = "+OK\r\n1 100\r\n.\r\n"},
                                        CAPA_UIDL};
    struct pop3_listing listing;

    (void)state;
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    assert_int_equal(listing.count, 1);
    expect_entry(&listing, 0, 1, 100, "aa");
    pop3_listing_free(&listing);
}

static void the_fetchrc_may_know_better_about_pipelining(void **state)
{
    static const struct step on[] = {GREETING,
                                     NO_CAPA,
                                     {.expect = "STAT"},
                                     {.expect = "UIDL"},
                                     {.expect = "LIST", .send = "+OK 0 0\r\n+OK\r\n.\r\n+OK\r\n.\r\n"}};
    static const struct step off[] = {GREETING,
                                      CAPA_PIPELINING,
                                      {.expect = "STAT", .send = "+OK 0 0\r\n"},
                                      {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                      {.expect = "LIST", .send = "+OK\r\n.\r\n"},
                                      CAPA_PIPELINING};
    struct pop3_listing listing;

    (void)state;
    list_ok(on, COUNT(on), POP3_PIPELINING_ON, &listing);
    pop3_listing_free(&listing);
    list_ok(off, COUNT(off), POP3_PIPELINING_OFF, &listing);
    pop3_listing_free(&listing);
}

static void odd_listings_are_merged_safely(void **state)
{
    static const struct step steps[] = {
        GREETING,
        NO_CAPA,
        {.expect = "STAT", .send = "+OK 99 1\r\n"},
        {.expect = "UIDL",
         .send = "+OK\r\n9 nine\r\n1 one\r\n2 two\r\n2 deux\r\n3 three\r\n3 three\r\n4 a b\r\n"
                 "0 zero\r\n2147483648 far\r\nnonsense\r\n5 dots..\r\n.\r\n"},
        {.expect = "LIST",
         .send = "+OK\r\n5 500\r\n4 400\r\n1 100\r\n1 111\r\n2\r\n3 many\r\n0 1\r\n"
                 "4294967297 2\r\n\r\n-1 4\r\n..\r\n.\r\n"}};
    struct pop3_listing listing;

    (void)state;
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    assert_int_equal(listing.count, 6);
    expect_entry(&listing, 0, 1, 100, "one");
    expect_entry(&listing, 1, 2, -1, NULL);
    expect_entry(&listing, 2, 3, -1, "three");
    expect_entry(&listing, 3, 4, 400, NULL);
    expect_entry(&listing, 4, 5, 500, "dots..");
    expect_entry(&listing, 5, 9, -1, "nine");
    pop3_listing_free(&listing);
}

static void without_uidl_last_is_asked_for(void **state)
{
    static const struct step steps[] = {GREETING,
                                        NO_CAPA,
                                        {.expect = "STAT", .send = "+OK 2 3\r\n"},
                                        {.expect = "UIDL", .send = "-ERR what\r\n"},
                                        {.expect = "LIST", .send = "+OK\r\n1 1\r\n2 2\r\n.\r\n"},
                                        {.expect = "LAST", .send = "+OK 1 is it\r\n"}};
    struct pop3_listing listing;

    (void)state;
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    assert_false(listing.has_uidl);
    assert_int_equal(listing.last, 1);
    expect_entry(&listing, 1, 2, 2, NULL);
    pop3_listing_free(&listing);
}

static void an_empty_uidl_listing_is_an_answer(void **state)
{
    static const struct step steps[] = {GREETING,
                                        NO_CAPA,
                                        {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                        {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                        {.expect = "LIST", .send = "+OK\r\n1 3\r\n.\r\n"}};
    struct pop3_listing listing;

    (void)state;
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    assert_true(listing.has_uidl);
    expect_entry(&listing, 0, 1, 3, NULL);
    pop3_listing_free(&listing);
}

static void a_passing_refusal_of_uidl_is_not_the_lack_of_it(void **state)
{
    static const struct step announced[] = {GREETING,
                                            CAPA_UIDL,
                                            {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                            {.expect = "UIDL", .send = "-ERR not now\r\n"}};
    static const struct step coded[] = {GREETING,
                                        NO_CAPA,
                                        {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                        {.expect = "UIDL", .send = "-ERR [SYS/TEMP] disk\r\n"}};

    (void)state;
    list_fails(announced, COUNT(announced), FAULT_RETRY, "localhost refused UIDL: -ERR not now");
    list_fails(coded, COUNT(coded), FAULT_RETRY, "[SYS/TEMP]");
}

static void a_refused_list_is_a_fault_but_for_an_empty_mailbox(void **state)
{
    static const struct step full[] = {GREETING,
                                       NO_CAPA,
                                       {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                       {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                       {.expect = "LIST", .send = "-ERR no\r\n"}};
    static const struct step unknown[] = {GREETING,
                                          NO_CAPA,
                                          {.expect = "STAT", .send = "-ERR no\r\n"},
                                          {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                          {.expect = "LIST", .send = "-ERR no\r\n"}};
    static const struct step empty[] = {GREETING,
                                        NO_CAPA,
                                        {.expect = "STAT", .send = "+OK 0 0\r\n"},
                                        {.expect = "UIDL", .send = "-ERR [SYS/TEMP] none\r\n"},
                                        {.expect = "LIST", .send = "-ERR no messages\r\n"}};
    struct pop3_listing listing;

    (void)state;
    list_fails(full, COUNT(full), FAULT_RETRY, "localhost refused LIST: -ERR no");
    list_fails(unknown, COUNT(unknown), FAULT_RETRY, "localhost refused LIST: -ERR no");
    list_ok(empty, COUNT(empty), POP3_PIPELINING_AUTO, &listing);
    assert_int_equal(listing.count, 0);
    pop3_listing_free(&listing);
}

static void a_line_of_a_megabyte_is_passed_over(void **state)
{
    static char line[1024 * 1024];
    const struct step steps[] = {GREETING,
                                 NO_CAPA,
                                 {.expect = "STAT", .send = "+OK 2 3\r\n"},
                                 {.expect = "UIDL", .send = "+OK\r\n1 "},
                                 {.send = line, .len = sizeof(line)},
                                 {.send = "\r\n2 two\r\n.\r\n"},
                                 {.expect = "LIST", .send = "+OK\r\n1 3\r\n2 3\r\n.\r\n"}};
    struct pop3_listing listing;

    (void)state;
    memset(line, 'u', sizeof(line));
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    expect_entry(&listing, 0, 1, 3, NULL);
    expect_entry(&listing, 1, 2, 3, "two");
    pop3_listing_free(&listing);
}

/* count lines "N NN..." (LIST) or "N uidN" (UIDL), the numbers falling. */
static char *many_lines(unsigned count, const char *word)
{
    char *text = malloc((size_t)count * 32 + 16);
    size_t len = 0;
    unsigned i;

    assert_non_null(text);
    len += (size_t)sprintf(text, "+OK\r\n");
    for (i = count; i > 0; i--)
        len += (size_t)sprintf(text + len, "%u %s%u\r\n", i, word, i);
    (void)sprintf(text + len, ".\r\n");
    return text;
}

/* The CPU time of this thread in seconds; the server has its own. */
static double seconds_of_cpu(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds_to_list(unsigned count)
{
    char *uidl = many_lines(count, "uid");
    char *list = many_lines(count, "1");
    const struct step steps[] = {GREETING,
                                 NO_CAPA,
                                 {.expect = "STAT", .send = "+OK 200000 3\r\n"},
                                 {.expect = "UIDL", .send = uidl},
                                 {.expect = "LIST", .send = list}};
    struct pop3_listing listing;
    double start = seconds_of_cpu();
    double took;

    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    took = seconds_of_cpu() - start;
    assert_int_equal(listing.count, count);
    expect_entry(&listing, 0, 1, 11, "uid1");
    assert_int_equal(listing.entries[count - 1].number, count);
    pop3_listing_free(&listing);
    free(uidl);
    free(list);
    return took;
}

static void ten_times_the_messages_take_no_more_than_some_ten_times_as_long(void **state)
{
    (void)state;
    /* What grows quadratically takes a hundred times as long. */
    assert_true(seconds_to_list(200000) < 40 * seconds_to_list(20000));
}

static void more_than_a_million_messages_are_not_believed(void **state)
{
    char *list = many_lines(1000001, "1");
    const struct step steps[] = {GREETING,
                                 NO_CAPA,
                                 {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                 {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                 {.expect = "LIST", .send = list}};

    (void)state;
    list_fails(steps, COUNT(steps), FAULT_PROTOCOL, "LIST with more than can be true");
    free(list);
}

/* Lines that are passed over, each of 8 MiB. */
static void octets_without_end_are_not_read(const struct step *before, size_t count, unsigned repeat,
                                            const char *words)
{
    static char line[8 * 1024 * 1024];
    struct step steps[8];
    size_t i;

    for (i = 0; i < count; i++)
        steps[i] = before[i];
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    steps[count] = (struct step){.send = line, .len = sizeof(line), .repeat = repeat};
    list_fails(steps, count + 1, FAULT_PROTOCOL, words);
}

static void a_listing_is_bounded_in_octets_too(void **state)
{
    static const struct step uidl[] = {GREETING,
                                       NO_CAPA,
                                       {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                       {.expect = "UIDL", .send = "+OK\r\n"}};
    static const struct step list[] = {GREETING,
                                       NO_CAPA,
                                       {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                       {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                       {.expect = "LIST", .send = "+OK\r\n"}};
    static const struct step capa[] = {GREETING,
                                       CAPA_UIDL,
                                       {.expect = "STAT", .send = "+OK 0 0\r\n"},
                                       {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                       {.expect = "LIST", .send = "+OK\r\n.\r\n"},
                                       {.expect = "CAPA", .send = "+OK\r\n"}};

    (void)state;
    octets_without_end_are_not_read(uidl, COUNT(uidl), 20, "UIDL with more than can be true");
    octets_without_end_are_not_read(list, COUNT(list), 20, "LIST with more than can be true");
    octets_without_end_are_not_read(capa, COUNT(capa), 2, "CAPA with more than can be true");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listing_is_asked_for_in_one_batch),
        cmocka_unit_test(or_one_question_at_a_time),
        cmocka_unit_test(the_fetchrc_may_know_better_about_pipelining),
        cmocka_unit_test(odd_listings_are_merged_safely),
        cmocka_unit_test(without_uidl_last_is_asked_for),
        cmocka_unit_test(an_empty_uidl_listing_is_an_answer),
        cmocka_unit_test(a_passing_refusal_of_uidl_is_not_the_lack_of_it),
        cmocka_unit_test(a_refused_list_is_a_fault_but_for_an_empty_mailbox),
        cmocka_unit_test(a_line_of_a_megabyte_is_passed_over),
        cmocka_unit_test(ten_times_the_messages_take_no_more_than_some_ten_times_as_long),
        cmocka_unit_test(more_than_a_million_messages_are_not_believed),
        cmocka_unit_test(a_listing_is_bounded_in_octets_too),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
