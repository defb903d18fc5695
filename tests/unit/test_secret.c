#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

#include "base/stop.h"
#include "config/secret.h"

static char dir[] = "/tmp/popferry-secret-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static char *file_with(const char *name, const void *text, size_t len, mode_t mode)
{
    static char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

/* The secret, or with expected NULL the fault that holds `fault_text`. */
static void check(const struct config_secret *secret, unsigned timeout, const char *expected,
                  const char *fault_text)
{
    struct buf out;
    struct fault fault = {0};
    int result;

    buf_init(&out, SECRET_MAX);
    result = secret_get(secret, timeout, &out, &fault);
    if (expected != NULL) {
        assert_string_equal(result == 0 ? out.data : fault.text, expected);
        assert_int_equal(out.len, strlen(expected));
    } else {
        assert_int_equal(result, -1);
        assert_int_equal(fault.class, FAULT_LOGIN);
        assert_int_equal(fault.scope, FAULT_OF_MAILBOX);
        assert_string_equal(fault.stage, "secret");
        if (strstr(fault.text, fault_text) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", fault_text, fault.text);
        assert_null(strstr(fault.text, "geheim"));
        assert_int_equal(out.len, 0);
    }
    buf_free(&out);
}

static void from_command(const char *command, const char *expected, const char *fault_text)
{
    char copy[512];

    (void)snprintf(copy, sizeof(copy), "%s", command);
    check(&(struct config_secret){.password_command = copy}, 10, expected, fault_text);
}

static void a_literal_password_is_given_as_it_is(void **state)
{
    char password[] = "pa ss\xC3\xA4$";

    (void)state;
    check(&(struct config_secret){.password = password}, 1, "pa ss\xC3\xA4$", NULL);
    check(&(struct config_secret){0}, 1, NULL, "no password is written");
}

static void one_newline_is_cut_and_no_more(void **state)
{
    (void)state;
    from_command("printf 'geheim\\n'", "geheim", NULL);
    from_command("printf 'geheim\\r\\n'", "geheim", NULL);
    from_command("printf ' geheim '", " geheim ", NULL);
    from_command("printf 'geheim\\n\\n'", NULL, "gives more than one line");
    from_command("printf 'geheim\\nuser: x\\n'", NULL, "gives more than one line");
    from_command("printf 'geheim\\rx'", NULL, "control character");
    from_command("printf 'geheim\\000x'", NULL, "control character");
    from_command("printf '\\n'", NULL, "empty password");
    from_command("true", NULL, "empty password");
}

static void a_command_that_fails_is_quoted_by_its_stderr_alone(void **state)
{
    (void)state;
    from_command("echo geheim; echo 'no\tkey' >&2; echo more >&2; exit 3", NULL,
                 "password_command failed with status 3: no?key");
    from_command("echo geheim; exit 1", NULL, "password_command failed with status 1");
    from_command("kill -9 $$", NULL, "was ended by signal 9");
    from_command("/no/such/command", NULL, "status 127");
}

static void a_command_has_no_input_and_none_of_our_descriptors(void **state)
{
    int fd = open("/dev/null", O_RDONLY);

    (void)state;
    assert_int_equal(dup2(fd, 77), 77);
    from_command("cat; echo x", "x", NULL);
    from_command("test -e /proc/self/fd/77 && echo open || echo closed", "closed", NULL);
    from_command(
        "test \"$(ps -o pgid= -p $$ 2>/dev/null || cut -d' ' -f5 /proc/$$/stat)\" -eq $$ && echo own", "own",
        NULL);
    (void)close(77);
    (void)close(fd);
}

static void endless_output_is_cut_off(void **state)
{
    (void)state;
    from_command("yes geheim", NULL, "prints too much");
    from_command("yes loud >&2 & echo ok; sleep 0.1; kill $!", "ok", NULL);
}

/* The process number that a command has left in a file. */
static pid_t number_in(const char *name)
{
    char path[128];
    FILE *file;
    int pid = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    (void)fclose(file);
    return pid;
}

static bool is_gone(pid_t pid)
{
    char path[64];
    char state = 'Z';
    FILE *file;
    unsigned tries;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    for (tries = 0; tries < 100; tries++) {
        file = fopen(path, "r");
        if (file == NULL)
            return true;
        if (fscanf(file, "%*d %*s %c", &state) == 1 && state == 'Z')
            tries = 100;
        (void)fclose(file);
        (void)usleep(10000);
    }
    return state == 'Z';
}

static void a_command_that_hangs_is_ended_with_its_children(void **state)
{
    char command[512];

    (void)state;
    (void)snprintf(command, sizeof(command),
                   "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >%s/pid; sleep 9999; sleep 9999' & "
                   "sleep 9999; sleep 9999",
                   dir);
    check(&(struct config_secret){.password_command = command}, 1, NULL, "has not ended within 1 s");
    assert_true(is_gone(number_in("pid")));
}

static void an_agent_that_stays_behind_does_not_hold_us(void **state)
{
    char command[512];
    pid_t agent;

    (void)state;
    (void)snprintf(command, sizeof(command), "sleep 9999 & echo $! >%s/agent; echo geheim", dir);
    check(&(struct config_secret){.password_command = command}, 9999, "geheim", NULL);
    agent = number_in("agent");
    assert_int_equal(kill(agent, 0), 0);
    assert_int_equal(kill(agent, SIGKILL), 0);
}

static void a_password_file_is_for_its_user_alone(void **state)
{
    struct config_secret secret = {0};

    (void)state;
    secret.password_file = file_with("p", "geheim\n", 7, 0600);
    check(&secret, 1, "geheim", NULL);
    secret.password_file = file_with("p", "geheim\n", 7, 0640);
    check(&secret, 1, NULL, "can be read by others; chmod 600");
    secret.password_file = file_with("p", "geheim\n", 7, 0604);
    check(&secret, 1, NULL, "can be read by others; chmod 600");
    secret.password_file = file_with("p", "", 0, 0600);
    check(&secret, 1, NULL, "empty password");
    secret.password_file = file_with("p", "geheim\0\n", 8, 0600);
    check(&secret, 1, NULL, "control character");
    secret.password_file = dir;
    check(&secret, 1, NULL, "not a regular file");
    secret.password_file = (char[]){"/no/such"};
    check(&secret, 1, NULL, "/no/such cannot be read: No such file");
}

static void an_oversized_password_file_is_refused(void **state)
{
    struct config_secret secret = {0};
    char *large = malloc(SECRET_MAX + 1);

    (void)state;
    assert_non_null(large);
    memset(large, 'x', SECRET_MAX + 1);
    secret.password_file = file_with("p", large, SECRET_MAX + 1, 0600);
    check(&secret, 1, NULL, "cannot be read: File too large");
    free(large);
}

static void a_credential_is_looked_for_in_its_directory(void **state)
{
    char name[] = "cred";
    struct config_secret secret = {.credential = name};

    (void)state;
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    check(&secret, 1, NULL, "$CREDENTIALS_DIRECTORY, which is not set");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
    check(&secret, 1, NULL, "cannot be read: No such file");
    (void)file_with("cred", "geheim", 6, 0440);
    check(&secret, 1, "geheim", NULL);
}

static void *one_of_many(void *argument)
{
    struct buf out;
    struct fault fault;

    buf_init(&out, SECRET_MAX);
    if (secret_get(argument, 20, &out, &fault) < 0 || strcmp(out.data, "alone") != 0)
        (void)fprintf(stderr, "not alone: %s\n", fault.text);
    else
        argument = NULL;
    buf_free(&out);
    return argument;
}

static void commands_run_one_at_a_time(void **state)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    char command[256];
    struct config_secret secret = {.password_command = command, .gate = &gate};
    pthread_t threads[6];
    void *failed;
    size_t i;

    (void)state;
    (void)snprintf(command, sizeof(command), "mkdir %s/one && sleep 0.05 && rmdir %s/one && echo alone", dir,
                   dir);
    for (i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_of_many, &secret), 0);
    for (i = 0; i < 6; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void a_token_command_is_a_command_as_well(void **state)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    char command[] = "echo token";
    struct config_account account = {.token_command = command, .peer.secret.gate = &gate};
    struct buf out;
    struct fault fault;

    (void)state;
    buf_init(&out, SECRET_MAX);
    assert_int_equal(secret_token(&account, 5, &out, &fault), 0);
    assert_string_equal(out.data, "token");
    assert_int_equal(secret_command("echo again", 5, &out, &fault), 0);
    assert_string_equal(out.data, "again");
    assert_int_equal(secret_command("echo oops >&2; false", 5, &out, &fault), -1);
    assert_string_equal(fault.text, "the command failed with status 1: oops");
    buf_free(&out);
}

static void a_source_is_set_or_not(void **state)
{
    char text[] = "x";

    (void)state;
    assert_false(secret_is_set(&(struct config_secret){0}));
    assert_true(secret_is_set(&(struct config_secret){.password = text}));
    assert_true(secret_is_set(&(struct config_secret){.password_file = text}));
    assert_true(secret_is_set(&(struct config_secret){.password_command = text}));
    assert_true(secret_is_set(&(struct config_secret){.credential = text}));
}

/* The stop flag stays: in a process of its own. */
static void a_signal_ends_the_wait(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        char command[] = "sleep 9999";
        struct config_secret secret = {.password_command = command};
        struct buf out;
        struct fault fault = {0};
        int result;
        stop_install();
        buf_init(&out, SECRET_MAX);
        (void)raise(SIGTERM);
        result = secret_get(&secret, 9999, &out, &fault);
        _exit(result == -1 && fault.class == FAULT_RETRY ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_password_is_given_as_it_is),
        cmocka_unit_test(one_newline_is_cut_and_no_more),
        cmocka_unit_test(a_command_that_fails_is_quoted_by_its_stderr_alone),
        cmocka_unit_test(a_command_has_no_input_and_none_of_our_descriptors),
        cmocka_unit_test(endless_output_is_cut_off),
        cmocka_unit_test(a_command_that_hangs_is_ended_with_its_children),
        cmocka_unit_test(an_agent_that_stays_behind_does_not_hold_us),
        cmocka_unit_test(a_password_file_is_for_its_user_alone),
        cmocka_unit_test(an_oversized_password_file_is_refused),
        cmocka_unit_test(a_credential_is_looked_for_in_its_directory),
        cmocka_unit_test(commands_run_one_at_a_time),
        cmocka_unit_test(a_token_command_is_a_command_as_well),
        cmocka_unit_test(a_source_is_set_or_not),
        cmocka_unit_test(a_signal_ends_the_wait),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
