/* message: in memory, in a file, and the same either way. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "mail/message.h"

#define CAP ((uint64_t)1 << 30)

/* Feed the whole answer in chunks; -1 on a fault. */
static int feed(struct message *message, const char *data, size_t len, size_t chunk, struct fault *fault)
{
    size_t at = 0;
    int result = 0;

    while (at < len && result == 0) {
        size_t used;

        result = message_feed(message, data + at, len - at < chunk ? len - at : chunk, &used, fault);
        at += used;
    }
    return result;
}

static struct message *make(const char *answer, size_t len, size_t memory)
{
    struct fault fault = {0};
    struct message *message = message_new(0, memory, CAP);

    assert_non_null(message);
    assert_int_equal(feed(message, answer, len, 7, &fault), 1);
    return message;
}

/* All that message_read() gives, in reads of `step`. The caller frees it. */
static char *read_all(const struct message *message, size_t step, size_t *len)
{
    struct fault fault;
    size_t size = (size_t)message_stuffed_octets(message) + step;
    char *all = malloc(size);
    long n;

    assert_non_null(all);
    *len = 0;
    while ((n = message_read(message, *len, all + *len, step, &fault)) > 0)
        *len += (size_t)n;
    assert_int_equal(n, 0);
    assert_int_equal(*len, message_stuffed_octets(message));
    return all;
}

static void expect_text(const struct message *message, const char *text, size_t text_len)
{
    struct message_part parts[2];
    int count = message_parts(message, parts);
    size_t len;
    char *all = read_all(message, 5, &len);

    assert_int_equal(len, text_len);
    assert_memory_equal(all, text, len);
    if (count >= 0) {
        size_t at = 0;
        int i;

        for (i = 0; i < count; i++) {
            assert_memory_equal(all + at, parts[i].data, parts[i].len);
            assert_true(parts[i].len > 0);
            at += parts[i].len;
        }
        assert_int_equal(at, len);
    }
    free(all);
}

#define MEMORY_AND_FILE(answer, check)                                                                       \
    do {                                                                                                     \
        struct message *m = make(answer, sizeof(answer) - 1, MESSAGE_MEMORY);                                \
        struct message_part parts_[2];                                                                       \
        assert_true(message_parts(m, parts_) >= 0);                                                          \
        check(m);                                                                                            \
        message_free(m);                                                                                     \
        m = make(answer, sizeof(answer) - 1, 0);                                                             \
        check(m);                                                                                            \
        message_free(m);                                                                                     \
    } while (0)

static const char sample[] =
    "Return-Path: <thomas@gmx.de>\r\nReceived: from a\r\n\tby b\r\nSubject: x\r\n\r\n"
    "..dot\r\nline\n.\nend\r\n.\r\n";

static void check_sample(const struct message *message)
{
    static const char text[] =
        "Received: from a\r\n\tby b\r\nSubject: x\r\n\r\n..dot\r\nline\r\n..\r\nend\r\n";
    static const char header[] =
        "Return-Path: <thomas@gmx.de>\r\nReceived: from a\r\n\tby b\r\nSubject: x\r\n";
    const char *found;
    size_t len;

    expect_text(message, text, sizeof(text) - 1);
    assert_int_equal(message_stuffed_octets(message), sizeof(text) - 1);
    assert_int_equal(message_octets(message), sizeof(text) - 1 - 2);
    assert_int_equal(message_received(message), sizeof(sample) - 1 - 3 - 1);
    assert_string_equal(message_return_path(message), "thomas@gmx.de");
    assert_false(message_eightbit(message));
    found = message_header(message, &len);
    assert_int_equal(len, sizeof(header) - 1);
    assert_memory_equal(found, header, len);
}

static void a_message_reads_alike_from_memory_and_from_a_file(void **state)
{
    (void)state;
    MEMORY_AND_FILE(sample, check_sample);
}

static void check_empty(const struct message *message)
{
    size_t len;

    expect_text(message, "", 0);
    assert_int_equal(message_octets(message), 0);
    assert_int_equal(message_received(message), 0);
    assert_null(message_return_path(message));
    (void)message_header(message, &len);
    assert_int_equal(len, 0);
}

static void an_empty_message_is_empty(void **state)
{
    (void)state;
    MEMORY_AND_FILE(".\r\n", check_empty);
}

static void check_only_return_path(const struct message *message)
{
    expect_text(message, "", 0);
    assert_string_equal(message_return_path(message), "");
}

static void a_message_that_is_only_a_return_path_becomes_empty(void **state)
{
    (void)state;
    MEMORY_AND_FILE("Return-Path: <>\r\n.\r\n", check_only_return_path);
}

static void check_two_paths(const struct message *message)
{
    static const char text[] = "A: 1\r\nReturn-path: <b@y>\r\n\r\nReturn-Path: <c@z>\r\n";

    expect_text(message, text, sizeof(text) - 1);
    assert_string_equal(message_return_path(message), "\"a> \\\" <\"@x");
}

static void only_the_first_return_path_of_the_header_goes(void **state)
{
    (void)state;
    MEMORY_AND_FILE("A: 1\r\nreturn-PATH:\r\n <\"a> \\\" <\"@x>\r\n\t(comment)\r\nReturn-path: <b@y>\r\n\r\n"
                    "Return-Path: <c@z>\r\n.\r\n",
                    check_two_paths);
}

static void check_body_path(const struct message *message)
{
    assert_null(message_return_path(message));
    assert_int_equal(message_octets(message), 28);
}

static void a_return_path_in_the_body_is_text(void **state)
{
    (void)state;
    MEMORY_AND_FILE("A: 1\r\n\r\nReturn-Path: <c@z>\r\n.\r\n", check_body_path);
    MEMORY_AND_FILE("\r\nReturn-Path: <c@zz.de>\r\n\r\n.\r\n", check_body_path);
}

static void an_endless_return_path_is_none_to_send_from(void **state)
{
    char answer[4096];
    struct message *message;
    size_t len = 0;
    int i;

    (void)state;
    len += (size_t)sprintf(answer, "Return-Path: <");
    for (i = 0; i < 1000; i++)
        answer[len++] = 'a';
    len += (size_t)sprintf(answer + len, "@x>\r\n\r\nb\r\n.\r\n");
    message = make(answer, len, MESSAGE_MEMORY);
    assert_string_equal(message_return_path(message), "");
    expect_text(message, "\r\nb\r\n", 5);
    message_free(message);
}

static void check_dotted_header(const struct message *message)
{
    size_t len;
    const char *header = message_header(message, &len);

    assert_int_equal(len, 26);
    assert_memory_equal(header, ".a: 1\r\nSubject: x\r\n.b: 2\r\n", len);
}

static void the_header_is_told_unstuffed(void **state)
{
    (void)state;
    MEMORY_AND_FILE("..a: 1\r\nSubject: x\r\n..b: 2\r\n\r\n..c\r\n.\r\n", check_dotted_header);
}

static void expect_same_digest(const char *a, const char *b, bool same)
{
    static const size_t memories[] = {0, 40, MESSAGE_MEMORY};
    struct message *first = make(a, strlen(a), MESSAGE_MEMORY);
    size_t i;

    for (i = 0; i < 3; i++) {
        struct message *second = make(b, strlen(b), memories[i]);

        assert_int_equal(memcmp(message_digest(first), message_digest(second), MESSAGE_DIGEST_SIZE) == 0,
                         same);
        message_free(second);
    }
    message_free(first);
}

static void the_digest_is_sha256_of_the_smtp_form(void **state)
{
    /* printf 'A: 1\r\n\r\n..b\r\n' | sha256sum */
    static const unsigned char known[] = {
        0x85, 0x95, 0xb6, 0x36, 0x1c, 0xb6, 0x06, 0x2a, 0x9d, 0x1f, 0x58, 0xef, 0x48, 0x08, 0x57, 0x55,
        0x46, 0x1c, 0x17, 0x47, 0x3b, 0x3d, 0x5f, 0x83, 0x61, 0x1c, 0x79, 0xe5, 0x3c, 0x7f, 0x02, 0x87,
    };
    struct message *message = make("A: 1\r\n\r\n..b\r\n.\r\n", 17, 0);

    (void)state;
    assert_int_equal(sizeof(known), MESSAGE_DIGEST_SIZE);
    assert_memory_equal(message_digest(message), known, sizeof(known));
    message_free(message);
}

static void what_servers_write_into_a_message_is_not_digested(void **state)
{
    static const char plain[] = "Subject: x\r\nDate: y\r\n\r\nStatus: body\r\n.\r\n";

    (void)state;
    expect_same_digest(plain, plain, true);
    expect_same_digest(plain, "Subject: x\r\nStatus: RO\r\nDate: y\r\n\r\nStatus: body\r\n.\r\n", true);
    expect_same_digest(
        plain, "x-status: A\r\n F\r\nSubject: x\r\nDate: y\r\nX-UIDL:\r\n 123\r\n\r\nStatus: body\r\n.\r\n",
        true);
    expect_same_digest(plain, "Subject: x\r\nStatus2: RO\r\nDate: y\r\n\r\nStatus: body\r\n.\r\n", false);
    expect_same_digest(plain, "Subject: x\r\nDate: y\r\n\r\nStatus: bodY\r\n.\r\n", false);
    expect_same_digest(plain, "Subject: x\r\nDate: y\r\n\r\n.\r\n", false);
}

/* A header of more than the cap, with fields that must not be cut in two at its border. */
static char *long_header(size_t before, const char *field, size_t *len)
{
    size_t size = before + 400000;
    char *answer = malloc(size);

    assert_non_null(answer);
    memcpy(answer, "A: ", 3);
    memset(answer + 3, 'x', before - 5);
    memcpy(answer + before - 2, "\r\n", 2);
    *len = before + (size_t)sprintf(answer + before, "%s", field);
    memset(answer + *len, 'y', 300000);
    *len += 300000;
    *len += (size_t)sprintf(answer + *len, "\r\n\r\nb\r\n.\r\n");
    return answer;
}

static void a_header_over_its_cap_reads_alike_from_memory_and_from_a_file(void **state)
{
    size_t before;

    (void)state;
    for (before = MESSAGE_HEADER_MAX - 40; before < MESSAGE_HEADER_MAX + 10; before++) {
        size_t len;
        size_t n;
        char *answer = long_header(before, "Status: RO\r\nReturn-Path: <a@b>\r\nB: ", &len);
        struct fault fault;
        struct message *small = message_new(0, 0, CAP);
        struct message *large = message_new(0, MESSAGE_MEMORY, CAP);

        assert_int_equal(feed(small, answer, len, 70000, &fault), 1);
        assert_int_equal(feed(large, answer, len, len, &fault), 1);
        assert_memory_equal(message_digest(small), message_digest(large), MESSAGE_DIGEST_SIZE);
        assert_int_equal(message_octets(small), message_octets(large));
        /* The field is taken off whole or not at all. */
        assert_int_equal(message_octets(small),
                         message_received(small) - (message_return_path(small) != NULL ? 20 : 0));
        assert_true((message_return_path(small) == NULL) == (message_return_path(large) == NULL));
        (void)message_header(small, &n);
        assert_int_equal(n, MESSAGE_HEADER_MAX);
        (void)message_header(large, &n);
        assert_int_equal(n, MESSAGE_HEADER_MAX);
        message_free(small);
        message_free(large);
        free(answer);
    }
}

static void one_octet_over_the_cap_is_a_fault(void **state)
{
    static const char answer[] = "A: 1\r\n\r\n..b\r\n.\r\n"; /* 12 octets, unstuffed */
    struct fault fault = {0};
    struct message *message;
    size_t chunk;

    (void)state;
    for (chunk = 1; chunk < sizeof(answer); chunk++) {
        message = message_new(5, MESSAGE_MEMORY, 12);
        assert_int_equal(feed(message, answer, sizeof(answer) - 1, chunk, &fault), 1);
        message_free(message);
        message = message_new(5, MESSAGE_MEMORY, 11);
        assert_int_equal(feed(message, answer, sizeof(answer) - 1, chunk, &fault), -1);
        message_free(message);
    }
    assert_int_equal(fault.scope, FAULT_OF_MESSAGE);
    assert_int_equal(fault.class, FAULT_PROTOCOL);
    assert_string_equal(fault.text, "the message is larger than 11 octets though the server listed 5");
}

/* One line of 64 KiB, again and again: the octets of a large message. */
static int feed_large(struct message *message, uint64_t octets, struct fault *fault)
{
    static char block[65536];
    size_t used;
    int result = message_feed(message, "A: 1\r\n\r\n", 8, &used, fault);

    memset(block, 'x', sizeof(block));
    memcpy(block + sizeof(block) - 2, "\r\n", 2);
    while (octets > 0 && result == 0) {
        result = message_feed(message, block, sizeof(block), &used, fault);
        octets -= octets < sizeof(block) ? octets : sizeof(block);
    }
    return result == 0 ? message_feed(message, ".\r\n", 3, &used, fault) : result;
}

static void a_large_message_takes_little_memory(void **state)
{
    struct rusage before, after;
    struct fault fault;
    struct message *message = make(".\r\n", 3, MESSAGE_MEMORY); /* what OpenSSL takes is not counted */
    char buf[65536];
    uint64_t at = 0;
    long n;

    (void)state;
    message_free(message);
    message = message_new(100000000, MESSAGE_MEMORY, CAP);
    (void)getrusage(RUSAGE_SELF, &before);
    assert_int_equal(feed_large(message, 100000000, &fault), 1);
    while ((n = message_read(message, at, buf, sizeof(buf), &fault)) > 0)
        at += (uint64_t)n;
    assert_int_equal(at, message_octets(message));
    assert_int_equal(at, message_received(message));
    (void)getrusage(RUSAGE_SELF, &after);
#ifndef __SANITIZE_ADDRESS__
    assert_true(after.ru_maxrss - before.ru_maxrss < 2048);
#endif
    message_free(message);
}

static void a_missing_directory_is_a_fault_of_the_run(void **state)
{
    struct fault fault = {0};
    struct message *message = message_new(0, 0, CAP);
    char *saved = getenv("TMPDIR") != NULL ? strdup(getenv("TMPDIR")) : NULL;

    (void)state;
    (void)setenv("TMPDIR", "/nowhere/at/all", 1);
    assert_int_equal(feed_large(message, 1000000, &fault), -1);
    (void)unsetenv("TMPDIR");
    if (saved != NULL)
        (void)setenv("TMPDIR", saved, 1);
    free(saved);
    assert_int_equal(fault.scope, FAULT_OF_RUN);
    assert_int_equal(fault.class, FAULT_STATE);
    assert_string_equal(fault.text,
                        "cannot make a temporary file in /nowhere/at/all: No such file or directory");
    message_free(message);
}

static void a_full_disk_is_a_fault_of_the_run(void **state)
{
    struct rlimit old, small;
    struct fault fault = {0};
    struct message *message = message_new(0, 0, CAP);

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 300000;
    (void)setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(feed_large(message, 1000000, &fault), -1);
    (void)setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(fault.class, FAULT_STATE);
    assert_non_null(strstr(fault.text, "cannot write a temporary file in "));
    assert_non_null(strstr(fault.text, "File too large"));
    message_free(message);
}

static void a_text_made_here_is_stuffed_and_gets_its_line_end(void **state)
{
    struct fault fault;
    struct message *message = message_new(0, MESSAGE_MEMORY, CAP);

    (void)state;
    assert_int_equal(message_write(message, "Subject: x\n\n.", 13, &fault), 0);
    assert_int_equal(message_write(message, "\n.a", 3, &fault), 0);
    assert_int_equal(message_finish(message, &fault), 0);
    expect_text(message, "Subject: x\r\n\r\n..\r\n..a\r\n", 23);
    message_free(message);
    message = message_new(0, MESSAGE_MEMORY, CAP);
    assert_int_equal(message_finish(message, &fault), 0);
    assert_int_equal(message_octets(message), 0);
    message_free(message);
}

static void octets_above_127_are_noticed(void **state)
{
    struct message *message = make("A: \xE4\r\n.\r\n", 9, MESSAGE_MEMORY);

    (void)state;
    assert_true(message_eightbit(message));
    message_free(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_message_takes_little_memory), /* first: the peak is the process's */
        cmocka_unit_test(a_message_reads_alike_from_memory_and_from_a_file),
        cmocka_unit_test(an_empty_message_is_empty),
        cmocka_unit_test(a_message_that_is_only_a_return_path_becomes_empty),
        cmocka_unit_test(only_the_first_return_path_of_the_header_goes),
        cmocka_unit_test(a_return_path_in_the_body_is_text),
        cmocka_unit_test(an_endless_return_path_is_none_to_send_from),
        cmocka_unit_test(the_header_is_told_unstuffed),
        cmocka_unit_test(the_digest_is_sha256_of_the_smtp_form),
        cmocka_unit_test(what_servers_write_into_a_message_is_not_digested),
        cmocka_unit_test(a_header_over_its_cap_reads_alike_from_memory_and_from_a_file),
        cmocka_unit_test(one_octet_over_the_cap_is_a_fault),
        cmocka_unit_test(a_missing_directory_is_a_fault_of_the_run),
        cmocka_unit_test(a_full_disk_is_a_fault_of_the_run),
        cmocka_unit_test(a_text_made_here_is_stuffed_and_gets_its_line_end),
        cmocka_unit_test(octets_above_127_are_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
