/* The history: being killed, full disks, and those that cannot be written. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "history_files.h"

static pid_t child(void (*work)(const char *dir, int out), const char *dir, int out)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        work(dir, out);
        _exit(0);
    }
    return pid;
}

static void open_and_fill(const char *dir, int out)
{
    struct history *history;
    struct history_mailbox mailbox;
    struct fault own;

    (void)out;
    if (history_open(&history, dir, HISTORY_WRITE, &own) < 0 ||
        history_mailbox(history, "thomas@pop.example", &mailbox, &own) < 0)
        _exit(1);
    history_close(history);
}

static void killed_while_it_is_made_it_is_whole_or_not_there(void **state)
{
    char dir[128];
    int trial;

    for (trial = 0; trial < 150; trial++) {
        pid_t pid;
        (void)snprintf(dir, sizeof(dir), "%s/%d", (char *)*state, trial);
        assert_int_equal(mkdir(dir, 0700), 0);
        pid = child(open_and_fill, dir, -1);
        (void)usleep((useconds_t)(trial * 40));
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        make(dir, 1);
    }
}

static void ten_processes_make_one_at_once(void **state)
{
    pid_t pids[10];
    size_t i;

    for (i = 0; i < 10; i++)
        pids[i] = child(open_and_fill, *state, -1);
    for (i = 0; i < 10; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
}

/* Tells the id of each message whose receipt is safe. */
static void deliver_and_tell(const char *dir, int out)
{
    struct history *history;
    struct fault own;
    int64_t id, first;

    if (history_open(&history, dir, HISTORY_WRITE, &own) < 0)
        _exit(1);
    first = fill(history, 5000);
    for (id = first; id < first + 5000; id++) {
        struct history_receipt receipt = {.id = id, .state = HISTORY_RECORDED, .delivered = true};
        if (history_receipt(history, &receipt, &own) < 0 || write(out, &id, sizeof(id)) != sizeof(id))
            _exit(1);
    }
}

static int check_recorded(void *context, const char *identity, const struct history_row *row)
{
    (void)identity;
    if (row->state == HISTORY_RECORDED)
        ++*(int *)context;
    return 0;
}

static void receipts_that_were_told_safe_outlive_a_kill(void **state)
{
    int trial, pipes[2];

    for (trial = 0; trial < 10; trial++) {
        struct history_filter all = {.state = -1};
        struct history *history;
        int told = 0, recorded = 0;
        int64_t id;
        pid_t pid;

        assert_int_equal(pipe(pipes), 0);
        pid = child(deliver_and_tell, *state, pipes[1]);
        (void)close(pipes[1]);
        while (told < 300 + trial * 10 && read(pipes[0], &id, sizeof(id)) == sizeof(id))
            told++;
        (void)kill(pid, SIGKILL);
        while (read(pipes[0], &id, sizeof(id)) == sizeof(id))
            told++;
        (void)close(pipes[0]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_true(told >= 300);
        history = open_or_fail(*state, HISTORY_WRITE);
        assert_int_equal(history_each(history, &all, check_recorded, &recorded, &fault), 0);
        assert_in_range(recorded, told, told + 1);
        assert_int_equal(history_forget(history, "thomas@pop.example", NULL, NULL, &fault), 0);
        history_close(history);
    }
}

/* The log that a killed run left belongs to the history that was taken away, not to the next one. */
static void a_log_without_its_history_is_not_taken_for_a_new_ones(void **state)
{
    struct history_filter all = {.state = -1};
    struct history *history;
    int pipes[2], recorded = 0;
    int64_t id;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = child(deliver_and_tell, *state, pipes[1]);
    assert_int_equal(read(pipes[0], &id, sizeof(id)), sizeof(id));
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    assert_true(is_there(*state, "history.db-wal"));
    assert_int_equal(unlink(file(*state, "history.db")), 0);
    history = open_or_fail(*state, HISTORY_WRITE);
    assert_int_equal(history_each(history, &all, check_recorded, &recorded, &fault), 0);
    assert_int_equal(recorded, 0);
    (void)fill(history, 1);
    history_close(history);
}

/* Leave no page free on the file system. */
static void use_up(const char *dir)
{
    static const char page[4096];
    int fd = open(file(dir, "filler"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    while (write(fd, page, sizeof(page)) > 0)
        ;
    assert_int_equal(close(fd), 0);
}

static void a_full_disk_costs_no_receipt_and_no_run_begins_on_it(void **state)
{
    struct history_receipt receipt = {.state = HISTORY_RECORDED, .delivered = true};
    struct history_plan nothing = {0};
    struct history *history;
    int64_t first;
    int i;

    if (mount("tmpfs", *state, "tmpfs", 0, "size=2m") < 0)
        skip();
    history = open_or_fail(*state, HISTORY_WRITE);
    first = fill(history, 200);
    assert_false(history_exhausted(history));
    use_up(*state);
    for (i = 0; i < 40; i++) {
        receipt.id = first + i;
        if (history_receipt(history, &receipt, &fault) < 0)
            fail_msg("receipt %d: %s", i, fault.text);
    }
    assert_true(history_exhausted(history));
    assert_int_equal(history_plan(history, 1, &nothing, &fault), -1);
    assert_int_equal(fault.class, FAULT_STATE);
    assert_non_null(strstr(fault.text, "history.db"));
    assert_int_equal(history_gone(history, &first, 1, &fault), 0);
    history_close(history);
    use_up(*state);
    assert_int_equal(history_open(&history, *state, HISTORY_WRITE, &fault), -1);
    assert_int_equal(fault.class, FAULT_STATE);
    assert_non_null(strstr(fault.text, "history.reserve: No space left on device"));
    assert_int_equal(unlink(file(*state, "filler")), 0);
    history = open_or_fail(*state, HISTORY_WRITE);
    i = 0;
    assert_int_equal(history_each(history, &(struct history_filter){.state = HISTORY_RECORDED},
                                  check_recorded, &i, &fault),
                     0);
    assert_int_equal(i, 39);
    history_close(history);
    assert_int_equal(umount(*state), 0);
}

/* However little room there is when the run begins: it says so, or it can record what it delivers. */
static void any_room_left_is_enough_or_is_said_to_be_too_little(void **state)
{
    int kilobytes, opened = 0, refused = 0;

    for (kilobytes = 0; kilobytes <= 640; kilobytes += 4) {
        struct history_receipt receipt = {.state = HISTORY_RECORDED, .delivered = true};
        struct history *history = NULL;
        struct history_mailbox mailbox;
        struct history_new fresh = {.uid = "u", .octets = 1, .owed = "thomas"};
        struct history_plan plan = {.fresh = &fresh, .fresh_count = 1};
        char options[32];

        (void)snprintf(options, sizeof(options), "size=%dk", kilobytes > 0 ? kilobytes : 4);
        if (mount("tmpfs", *state, "tmpfs", 0, options) < 0)
            skip();
        if (history_open(&history, *state, HISTORY_WRITE, &fault) == 0 &&
            history_mailbox(history, "a@b", &mailbox, &fault) == 0 &&
            history_plan(history, mailbox.id, &plan, &fault) == 0) {
            opened++;
            use_up(*state);
            receipt.id = fresh.id;
            if (history_receipt(history, &receipt, &fault) < 0)
                fail_msg("with %d kB: %s", kilobytes, fault.text);
        } else {
            refused++;
            assert_int_equal(fault.class, FAULT_STATE);
        }
        history_close(history);
        assert_int_equal(umount(*state), 0);
    }
    assert_true(opened > 10);
    assert_true(refused > 10);
}

static void a_read_only_disk_is_told_and_can_still_be_read(void **state)
{
    struct history_mailbox mailbox;
    struct history *history;

    if (mount("tmpfs", *state, "tmpfs", 0, "size=2m") < 0)
        skip();
    make(*state, 3);
    assert_int_equal(mount("tmpfs", *state, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=2m"), 0);
    assert_int_equal(history_open(&history, *state, HISTORY_WRITE, &fault), -1);
    assert_int_equal(fault.class, FAULT_STATE);
    assert_non_null(strstr(fault.text, "history.db"));
    history = open_or_fail(*state, HISTORY_READ);
    assert_int_equal(history_mailbox(history, "thomas@pop.example", &mailbox, &fault), 0);
    assert_int_not_equal(mailbox.id, 0);
    history_close(history);
    assert_int_equal(umount(*state), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(killed_while_it_is_made_it_is_whole_or_not_there),
        TEST(ten_processes_make_one_at_once),
        TEST(receipts_that_were_told_safe_outlive_a_kill),
        TEST(a_log_without_its_history_is_not_taken_for_a_new_ones),
        TEST(a_full_disk_costs_no_receipt_and_no_run_begins_on_it),
        TEST(any_room_left_is_enough_or_is_said_to_be_too_little),
        TEST(a_read_only_disk_is_told_and_can_still_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
