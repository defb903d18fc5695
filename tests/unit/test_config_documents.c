/* fetchrc.example and fetchrc(5) keep up with the option tables. */
#include <ctype.h>

#include "fetchrc_text.h"

#include "config/options.h"
#include "config/providers.h"

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 17);
    size_t len;

    if (file == NULL)
        fail_msg("%s cannot be read; run the tests in the source directory", path);
    assert_non_null(text);
    len = fread(text, 1, (1 << 17) - 1, file);
    assert_true(len > 0);
    (void)fclose(file);
    return text;
}

/* "#name = ..." becomes an option; "# text" stays a comment. */
static void enable_all(char *text)
{
    char *line;
    char *p;

    for (line = text; line != NULL; line = strchr(line, '\n')) {
        p = line + strspn(line, " \n");
        if (*p == '#' && (islower((unsigned char)p[1]) || p[1] == '}'))
            *p = ' ';
        line++;
    }
}

static void the_example_loads_as_it_is_and_with_every_option(void **state)
{
    char *text = read_text("fetchrc.example");
    struct fetchrc rc;

    (void)state;
    fetchrc_begin(&rc);
    fetchrc_write(&rc, "fetchrc", text, strlen(text), 0644);
    fetchrc_load(&rc);
    assert_string_equal(rc.mistakes.data, "");
    assert_int_equal(rc.config.account_count, 1);
    fetchrc_end(&rc);

    enable_all(text);
    assert_int_equal(setenv("OUTLOOK_CLIENT_SECRET", "x", 1), 0);
    fetchrc_begin(&rc);
    fetchrc_write(&rc, "fetchrc", text, strlen(text), 0600);
    fetchrc_write(&rc, "own-ca.pem", "", 0, 0600);
    fetchrc_write(&rc, "client.pem", "", 0, 0600);
    fetchrc_write(&rc, "client.key", "", 0, 0600);
    fetchrc_write(&rc, "more.fetchrc", "", 0, 0600);
    fetchrc_load(&rc);
    assert_string_equal(rc.mistakes.data, "");
    assert_int_equal(rc.config.account_count, 6);
    assert_int_equal(rc.config.destination_count, 3);
    assert_int_equal(rc.config.oauth_count, 1);
    fetchrc_end(&rc);
    free(text);
}

static void the_example_and_the_manual_name_every_option(void **state)
{
    char *example = read_text("fetchrc.example");
    char *manual = read_text("contrib/man/fetchrc.5");
    char wanted[128];
    enum option_section s;
    size_t i;

    (void)state;
    for (s = SECTION_TOP; s < SECTION_COUNT; s++) {
        for (i = 0; i < option_tables[s].count; i++) {
            const struct option_row *row = &option_tables[s].rows[i];
            (void)snprintf(wanted, sizeof(wanted), ".It Cm %s No =", row->name);
            if (strstr(manual, wanted) == NULL)
                fail_msg("fetchrc.5 does not explain %s", row->name);
            (void)snprintf(wanted, sizeof(wanted), "%s = ", row->name);
            if (strstr(example, wanted) == NULL)
                fail_msg("fetchrc.example does not show %s", row->name);
            assert_non_null(row->help);
        }
    }
    free(example);
    free(manual);
}

static void the_manual_names_every_provider(void **state)
{
    char *manual = read_text("contrib/man/fetchrc.5");
    const char *section = strstr(manual, ".Sh PROVIDERS");
    size_t count;
    const struct provider *list = provider_list(&count);
    size_t i;

    (void)state;
    assert_non_null(section);
    for (i = 0; i < count; i++) {
        if (strstr(section, list[i].name) == NULL)
            fail_msg("fetchrc.5 does not name the provider %s", list[i].name);
    }
    free(manual);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_loads_as_it_is_and_with_every_option),
        cmocka_unit_test(the_example_and_the_manual_name_every_option),
        cmocka_unit_test(the_manual_names_every_provider),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
