/* Locks of mailboxes, and the state directory that they are in. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/lock.h"
#include "store/state_dir.h"

static struct fault fault;

static int setup(void **state)
{
    *state = strdup("/tmp/popferry-lock-XXXXXX");
    assert_non_null(mkdtemp(*state));
    (void)unsetenv("STATE_DIRECTORY");
    (void)unsetenv("XDG_STATE_HOME");
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    assert_int_equal(system(command), 0);
    free(*state);
    return 0;
}

static void a_second_taker_sees_it_busy_even_in_the_same_process(void **state)
{
    int busy = 1, lock = lock_take(*state, "thomas@pop.example", 0, &busy, &fault);

    assert_true(lock >= 0);
    assert_false(busy);
    assert_int_equal(lock_take(*state, "thomas@pop.example", 0, &busy, &fault), -1);
    assert_true(busy);
    lock_release(lock);
    lock = lock_take(*state, "thomas@pop.example", 0, &busy, &fault);
    assert_true(lock >= 0);
    lock_release(lock);
}

static void different_names_do_not_meet(void **state)
{
    int busy, one = lock_take(*state, "thomas@pop.example", 0, &busy, &fault);
    int other = lock_take(*state, "anna/../@pop.example", 0, &busy, &fault);

    assert_true(one >= 0);
    assert_true(other >= 0);
    assert_true(lock_any_held(*state, "thomas@pop.example"));
    lock_release(other);
    assert_false(lock_any_held(*state, "thomas@pop.example"));
    lock_release(one);
}

static void a_killed_holder_blocks_nobody(void **state)
{
    int pipes[2], busy, lock;
    char ready;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        if (lock_take(*state, "thomas@pop.example", 0, &busy, &fault) >= 0 && write(pipes[1], "x", 1) == 1)
            (void)pause();
        _exit(1);
    }
    assert_int_equal(read(pipes[0], &ready, 1), 1);
    assert_int_equal(lock_take(*state, "thomas@pop.example", 0, &busy, &fault), -1);
    assert_true(busy);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    lock = lock_take(*state, "thomas@pop.example", 0, &busy, &fault);
    assert_true(lock >= 0);
    lock_release(lock);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

static void who_waits_gets_it_when_it_is_free(void **state)
{
    int busy, lock = lock_take(*state, "oauth:gmail", 0, &busy, &fault);
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        /* The descriptor came along by the fork; the lock is let go when its last copy is closed. */
        lock_release(lock);
        _exit(lock_take(*state, "oauth:gmail", 1, &busy, &fault) >= 0 && !busy ? 0 : 1);
    }
    (void)usleep(100000);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    lock_release(lock);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void a_directory_that_is_not_there_is_a_fault(void **state)
{
    int busy;

    (void)state;
    assert_int_equal(lock_take("/nowhere/at/all", "x@y", 0, &busy, &fault), -1);
    assert_false(busy);
    assert_int_equal(fault.class, FAULT_STATE);
    assert_non_null(strstr(fault.text, "No such file or directory"));
}

static void the_state_directory_is_made_with_its_parents_for_its_owner_only(void **state)
{
    char path[128];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/a/b/c", (char *)*state);
    assert_int_equal(state_dir_open(path, 0, &fault), -1);
    assert_non_null(strstr(fault.text, path));
    assert_int_equal(state_dir_open(path, 1, &fault), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(state_dir_open(path, 1, &fault), 0);
    assert_int_equal(state_dir_open("/proc/nothing/here", 1, &fault), -1);
    assert_int_equal(fault.class, FAULT_STATE);
    assert_int_equal(state_dir_open("/etc/passwd", 1, &fault), -1);
    assert_non_null(strstr(fault.text, "Not a directory"));
}

static void is_path(const char *option, const char *configured, const char *expected)
{
    char *path = state_dir_path(option, configured, &fault);

    assert_string_equal(path, expected);
    free(path);
}

static void the_state_directory_is_looked_for_in_the_documented_order(void **state)
{
    char expected[4200], *here = getcwd(NULL, 0);

    (void)state;
    (void)setenv("HOME", "/home/thomas", 1);
    is_path(NULL, NULL, geteuid() == 0 ? "/var/lib/popferry" : "/home/thomas/.local/state/popferry");
    (void)setenv("XDG_STATE_HOME", "relative", 1);
    is_path(NULL, NULL, geteuid() == 0 ? "/var/lib/popferry" : "/home/thomas/.local/state/popferry");
    (void)setenv("XDG_STATE_HOME", "/xdg", 1);
    is_path(NULL, NULL, "/xdg/popferry");
    (void)setenv("STATE_DIRECTORY", "/sys/one:/sys/two", 1);
    is_path(NULL, NULL, "/sys/one");
    is_path(NULL, "/configured", "/configured");
    is_path("/option", "/configured", "/option");
    (void)snprintf(expected, sizeof(expected), "%s/state", here);
    is_path("state", NULL, expected);
    free(here);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_taker_sees_it_busy_even_in_the_same_process),
        TEST(different_names_do_not_meet),
        TEST(a_killed_holder_blocks_nobody),
        TEST(who_waits_gets_it_when_it_is_free),
        TEST(a_directory_that_is_not_there_is_a_fault),
        TEST(the_state_directory_is_made_with_its_parents_for_its_owner_only),
        TEST(the_state_directory_is_looked_for_in_the_documented_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
