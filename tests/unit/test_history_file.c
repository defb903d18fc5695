/* The history's files: broken ones, full disks, and being killed. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/history.h"
#include "store/lock.h"

static struct fault fault;

static int setup(void **state)
{
    *state = strdup("/tmp/popferry-history-XXXXXX");
    assert_non_null(mkdtemp(*state));
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)umount2(*state, MNT_DETACH); /* where a test ended before it did */
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    assert_int_equal(system(command), 0);
    free(*state);
    return 0;
}

static const char *file(const char *dir, const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static bool is_there(const char *dir, const char *name)
{
    return access(file(dir, name), F_OK) == 0;
}

static struct history *open_or_fail(const char *dir, enum history_mode mode)
{
    struct history *history;

    if (history_open(&history, dir, mode, &fault) < 0)
        fail_msg("%s", fault.text);
    return history;
}

/* A history with `count` planned messages; told is the first one's id, the others follow. */
static int64_t fill(struct history *history, size_t count)
{
    struct history_new *fresh = calloc(count, sizeof(*fresh));
    struct history_plan plan = {.fresh = fresh, .fresh_count = count};
    struct history_mailbox mailbox;
    int64_t first;
    size_t i;

    assert_non_null(fresh);
    for (i = 0; i < count; i++)
        fresh[i] = (struct history_new){.uid = "a-uid-of-some-length", .octets = 1, .owed = "thomas"};
    assert_int_equal(history_mailbox(history, "thomas@pop.example", &mailbox, &fault), 0);
    if (history_plan(history, mailbox.id, &plan, &fault) < 0)
        fail_msg("%s", fault.text);
    first = fresh[0].id;
    free(fresh);
    return first;
}

static void make(const char *dir, size_t count)
{
    struct history *history = open_or_fail(dir, HISTORY_WRITE);

    (void)fill(history, count);
    history_close(history);
}

/* It opens in neither mode, and the sentence names the file, the cause and the way out. */
static void is_refused(const char *dir, const char *cause)
{
    struct history *history;
    int mode;

    for (mode = HISTORY_WRITE; mode <= HISTORY_READ; mode++) {
        memset(&fault, 0, sizeof(fault));
        assert_int_equal(history_open(&history, dir, (enum history_mode)mode, &fault), -1);
        assert_null(history);
        assert_int_equal(fault.class, FAULT_STATE);
        assert_int_equal(fault.scope, FAULT_OF_RUN);
        assert_non_null(strstr(fault.text, file(dir, "history.db")));
        assert_non_null(strstr(fault.text, "history --reset"));
        if (strstr(fault.text, cause) == NULL)
            fail_msg("'%s' is not in: %s", cause, fault.text);
    }
}

static void execute(const char *dir, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(file(dir, "history.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void overwrite(const char *dir, off_t at, size_t len)
{
    int fd = open(file(dir, "history.db"), O_WRONLY | O_CREAT, 0600);

    for (; len > 0; len--, at++) {
        char c = (char)(at * 31 + 7);
        assert_int_equal(pwrite(fd, &c, 1, at), 1);
    }
    assert_int_equal(close(fd), 0);
}

static void an_empty_file_is_no_history(void **state)
{
    assert_int_equal(close(open(file(*state, "history.db"), O_WRONLY | O_CREAT, 0600)), 0);
    is_refused(*state, "is empty");
}

static void random_bytes_are_no_history(void **state)
{
    overwrite(*state, 0, 10000);
    is_refused(*state, "damaged");
}

static void another_programs_database_is_no_history(void **state)
{
    execute(*state, "CREATE TABLE bookmarks(url)");
    is_refused(*state, "not made by popferry");
}

static void a_newer_history_is_left_alone(void **state)
{
    make(*state, 1);
    execute(*state, "PRAGMA user_version = 99");
    is_refused(*state, "newer popferry");
}

static void a_directory_is_no_history(void **state)
{
    assert_int_equal(mkdir(file(*state, "history.db"), 0700), 0);
    is_refused(*state, "is a directory");
}

static void a_truncated_history_is_found_out(void **state)
{
    struct stat st;
    off_t keep;

    make(*state, 500);
    assert_int_equal(stat(file(*state, "history.db"), &st), 0);
    for (keep = st.st_size - 4096; keep > 0; keep = keep > 8192 ? keep / 2 : keep - 2000) {
        assert_int_equal(truncate(file(*state, "history.db"), keep), 0);
        is_refused(*state, "damaged");
    }
}

static void a_page_of_garbage_is_found_out(void **state)
{
    make(*state, 500);
    overwrite(*state, 2 * 4096, 4096);
    is_refused(*state, "damaged");
}

static void damage_in_a_large_history_shows_when_it_is_read(void **state)
{
    struct history *history;
    struct history_rows rows;
    struct history_mailbox mailbox;

    make(*state, 20000);
    overwrite(*state, 40 * 4096, 100 * 4096);
    history = open_or_fail(*state, HISTORY_WRITE);
    assert_int_equal(history_mailbox(history, "thomas@pop.example", &mailbox, &fault), -1);
    assert_int_equal(fault.class, FAULT_STATE);
    assert_int_equal(history_load(history, 1, NULL, 0, &rows, &fault), -1);
    assert_non_null(strstr(fault.text, "history --reset"));
    history_close(history);
}

static void a_missing_history_reads_as_empty_and_stays_missing(void **state)
{
    struct history *history = open_or_fail(*state, HISTORY_READ);
    struct history_mailbox mailbox;
    struct history_rows rows;

    assert_int_equal(history_mailbox(history, "thomas@pop.example", &mailbox, &fault), 0);
    assert_int_equal(mailbox.id, 0);
    assert_int_equal(history_load(history, 0, NULL, 0, &rows, &fault), 0);
    assert_int_equal(rows.count, 0);
    history_close(history);
    assert_int_equal(rmdir(*state), 0);
    assert_int_equal(mkdir(*state, 0700), 0);
}

static void reading_works_beside_a_writer_and_changes_nothing(void **state)
{
    struct history *writer = open_or_fail(*state, HISTORY_WRITE), *reader;
    struct history_mailbox mailbox;

    (void)fill(writer, 3);
    reader = open_or_fail(*state, HISTORY_READ);
    assert_int_equal(history_mailbox(reader, "thomas@pop.example", &mailbox, &fault), 0);
    assert_int_not_equal(mailbox.id, 0);
    assert_int_equal(history_mailbox(reader, "anna@pop.example", &mailbox, &fault), 0);
    assert_int_equal(mailbox.id, 0);
    assert_int_equal(history_stumble(reader, 1, NULL, &fault), -1);
    history_close(reader);
    history_close(writer);
}

static void only_its_owner_can_read_it(void **state)
{
    struct stat st;

    make(*state, 1);
    assert_int_equal(stat(file(*state, "history.db"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void reset_moves_it_aside_and_a_new_one_begins(void **state)
{
    char moved_to[256];
    struct stat st;

    overwrite(*state, 0, 100);
    if (history_reset(*state, moved_to, sizeof(moved_to), &fault) < 0)
        fail_msg("%s", fault.text);
    assert_int_equal(stat(moved_to, &st), 0);
    assert_int_equal(st.st_size, 100);
    make(*state, 1);
    assert_int_equal(history_reset(*state, moved_to, sizeof(moved_to), &fault), 0);
    assert_false(is_there(*state, "history.db-wal"));
    assert_int_equal(history_reset(*state, moved_to, sizeof(moved_to), &fault), -1);
    assert_int_equal(fault.class, FAULT_STATE);
}

static void reset_waits_for_no_run_in_progress(void **state)
{
    char moved_to[256];
    int busy, lock = lock_take(*state, "thomas@pop.example", 0, &busy, &fault);

    make(*state, 1);
    assert_int_equal(history_reset(*state, moved_to, sizeof(moved_to), &fault), -1);
    assert_non_null(strstr(fault.text, "in use"));
    lock_release(lock);
    assert_int_equal(history_reset(*state, moved_to, sizeof(moved_to), &fault), 0);
}

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
        TEST(an_empty_file_is_no_history),
        TEST(random_bytes_are_no_history),
        TEST(another_programs_database_is_no_history),
        TEST(a_newer_history_is_left_alone),
        TEST(a_directory_is_no_history),
        TEST(a_truncated_history_is_found_out),
        TEST(a_page_of_garbage_is_found_out),
        TEST(damage_in_a_large_history_shows_when_it_is_read),
        TEST(a_missing_history_reads_as_empty_and_stays_missing),
        TEST(reading_works_beside_a_writer_and_changes_nothing),
        TEST(only_its_owner_can_read_it),
        TEST(reset_moves_it_aside_and_a_new_one_begins),
        TEST(reset_waits_for_no_run_in_progress),
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
