/* The history's files: broken ones, missing ones, and who may read them. */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "history_files.h"
#include "store/lock.h"

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

/* A history as the first schema wrote it: what the later ones added is taken away again. */
static void make_first(const char *dir)
{
    struct history *history = open_or_fail(dir, HISTORY_WRITE);
    int64_t first = fill(history, 3);
    struct history_receipt receipt = {.id = first, .state = HISTORY_SEEN, .delivered = true};

    assert_int_equal(history_receipt(history, &receipt, &fault), 0);
    receipt = (struct history_receipt){.id = first + 1, .state = HISTORY_SEEN};
    assert_int_equal(history_receipt(history, &receipt, &fault), 0);
    receipt = (struct history_receipt){.id = first + 2, .state = HISTORY_RECORDED, .delivered = true};
    assert_int_equal(history_receipt(history, &receipt, &fault), 0);
    history_close(history);
    execute(dir, "ALTER TABLE message DROP COLUMN returned; PRAGMA user_version = 1");
}

static void states_are(const char *dir, enum history_mode mode, enum history_state first,
                       enum history_state second, enum history_state third)
{
    struct history *history = open_or_fail(dir, mode);
    struct history_rows rows;

    if (history_load(history, 1, NULL, 0, &rows, &fault) < 0)
        fail_msg("%s", fault.text);
    assert_int_equal(rows.count, 3);
    assert_int_equal(rows.rows[0].state, first);
    assert_int_equal(rows.rows[1].state, second);
    assert_int_equal(rows.rows[2].state, third);
    history_rows_free(&rows);
    history_close(history);
}

static int64_t version_of(const char *dir)
{
    sqlite3_stmt *statement;
    sqlite3 *db;
    int64_t version;

    assert_int_equal(sqlite3_open(file(dir, "history.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    version = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return version;
}

static void an_older_history_is_read_as_it_stands_and_upgraded_by_who_writes(void **state)
{
    make_first(*state);
    states_are(*state, HISTORY_READ, HISTORY_NOTICED, HISTORY_SEEN, HISTORY_RECORDED);
    assert_int_equal(version_of(*state), 1);
    states_are(*state, HISTORY_WRITE, HISTORY_NOTICED, HISTORY_SEEN, HISTORY_RECORDED);
    assert_int_equal(version_of(*state), 2);
    states_are(*state, HISTORY_READ, HISTORY_NOTICED, HISTORY_SEEN, HISTORY_RECORDED);
}

static void an_upgrade_that_fails_changes_nothing(void **state)
{
    struct history *history;

    make_first(*state);
    execute(*state, "CREATE TRIGGER no BEFORE UPDATE ON message BEGIN SELECT raise(ABORT, 'not now'); END");
    assert_int_equal(history_open(&history, *state, HISTORY_WRITE, &fault), -1);
    assert_non_null(strstr(fault.text, "not now"));
    assert_int_equal(version_of(*state), 1);
    execute(*state, "DROP TRIGGER no");
    states_are(*state, HISTORY_WRITE, HISTORY_NOTICED, HISTORY_SEEN, HISTORY_RECORDED);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_file_is_no_history),
        TEST(random_bytes_are_no_history),
        TEST(another_programs_database_is_no_history),
        TEST(a_newer_history_is_left_alone),
        TEST(an_older_history_is_read_as_it_stands_and_upgraded_by_who_writes),
        TEST(an_upgrade_that_fails_changes_nothing),
        TEST(a_directory_is_no_history),
        TEST(a_truncated_history_is_found_out),
        TEST(a_page_of_garbage_is_found_out),
        TEST(damage_in_a_large_history_shows_when_it_is_read),
        TEST(a_missing_history_reads_as_empty_and_stays_missing),
        TEST(reading_works_beside_a_writer_and_changes_nothing),
        TEST(only_its_owner_can_read_it),
        TEST(reset_moves_it_aside_and_a_new_one_begins),
        TEST(reset_waits_for_no_run_in_progress),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
