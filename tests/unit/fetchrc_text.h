/* For the tests of config/: a fetchrc from a text in the test, and its mistakes. */
#ifndef POPFERRY_TESTS_FETCHRC_TEXT_H
#define POPFERRY_TESTS_FETCHRC_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "config/load.h"

struct fetchrc {
    char dir[64];
    char path[80];
    struct config config;
    struct fault fault;
    struct buf mistakes; /* one a line, without the directory's name */
    int result;
};

static inline void fetchrc_mistake(void *context, const char *text)
{
    struct fetchrc *rc = context;
    size_t len = strlen(rc->dir);
    const char *found;

    while ((found = strstr(text, rc->dir)) != NULL) {
        assert_int_equal(buf_append(&rc->mistakes, text, (size_t)(found - text)), 0);
        text = found + len + 1;
    }
    assert_int_equal(buf_printf(&rc->mistakes, "%s\n", text), 0);
}

static inline void fetchrc_write(struct fetchrc *rc, const char *name, const void *text, size_t len,
                                 mode_t mode)
{
    char path[160];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", rc->dir, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static inline void fetchrc_begin(struct fetchrc *rc)
{
    *rc = (struct fetchrc){.dir = "/tmp/popferry-fetchrc-XXXXXX"};
    assert_non_null(mkdtemp(rc->dir));
    (void)snprintf(rc->path, sizeof(rc->path), "%s/fetchrc", rc->dir);
    buf_init(&rc->mistakes, 1 << 20);
    assert_int_equal(buf_puts(&rc->mistakes, ""), 0);
}

static inline void fetchrc_load(struct fetchrc *rc)
{
    rc->result = config_load(&rc->config, rc->path, fetchrc_mistake, rc, &rc->fault);
}

static inline void fetchrc_text(struct fetchrc *rc, const char *text)
{
    fetchrc_begin(rc);
    fetchrc_write(rc, "fetchrc", text, strlen(text), 0600);
    fetchrc_load(rc);
}

static inline void fetchrc_end(struct fetchrc *rc)
{
    char command[128];

    if (rc->result == 0)
        config_free(&rc->config);
    buf_free(&rc->mistakes);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", rc->dir);
    assert_int_equal(system(command), 0);
}

/* A fetchrc without mistakes. */
static inline void fetchrc_good(struct fetchrc *rc, const char *text)
{
    fetchrc_text(rc, text);
    assert_string_equal(rc->mistakes.data, "");
    assert_int_equal(rc->result, 0);
}

/* A fetchrc with exactly these mistakes, one a line. */
static inline void fetchrc_bad(const char *text, const char *mistakes)
{
    struct fetchrc rc;

    fetchrc_text(&rc, text);
    assert_string_equal(rc.mistakes.data, mistakes);
    assert_int_equal(rc.result, -1);
    assert_int_equal(rc.fault.class, FAULT_CONFIG);
    assert_int_equal(rc.fault.scope, FAULT_OF_RUN);
    fetchrc_end(&rc);
}

#endif
