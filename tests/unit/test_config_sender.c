/* A sender that a fetchrc may name is one that the envelope takes, and that SMTP sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/address.h"
#include "config/values.h"
#include "mail/envelope.h"

static void all_take_it_or_none(const char *sender)
{
    char path[ENVELOPE_PATH_MAX];
    bool named = value_sender(sender) == NULL;

    envelope_sender(sender, NULL, path);
    if (named && strcmp(path, sender) != 0)
        fail_msg("fetchrc takes the sender %s, MAIL FROM would be <%s>", sender, path);
    if (named && !address_fits_brackets(sender))
        fail_msg("fetchrc takes the sender %s, SMTP does not", sender);
    if (!named && strchr(sender, '@') != NULL && path[0] != '\0' && envelope_address_ok(sender, false))
        fail_msg("fetchrc refuses the sender %s, which could be sent", sender);
}

static void fetchrc_envelope_and_smtp_agree_on_a_sender(void **state)
{
    static const char *const senders[] = {
        "thomas@example.org",
        "\"a b\"@example.org",
        "a b@example.org",
        "a@",
        "@a",
        "a@b@c",
        "a@b..c",
        "a@.b",
        "(x)@y",
        "a,b@c",
        "@a:b@c",
        "a@[127.0.0.1]",
        "a@[]",
        "a@b]",
        "\"a@b",
        "\xC3\xBC@example.org",
        "\xFC@example.org",
        "a@\xC3\xBC.example",
        "a\\b@c",
        "a..b@c",
    };
    char text[300];
    unsigned c;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(senders) / sizeof(senders[0]); i++)
        all_take_it_or_none(senders[i]);
    for (c = 1; c < 256; c++) {
        (void)snprintf(text, sizeof(text), "a%cb@c", (int)c);
        all_take_it_or_none(text);
        (void)snprintf(text, sizeof(text), "\"a%cb\"@c", (int)c);
        all_take_it_or_none(text);
        (void)snprintf(text, sizeof(text), "a@b%cc", (int)c);
        all_take_it_or_none(text);
    }
    for (i = 240; i < 270; i++) {
        memset(text, 'a', i);
        memcpy(text + i, "@b", 3);
        all_take_it_or_none(text);
    }
}

static void a_sender_that_would_become_the_null_sender_is_a_mistake(void **state)
{
    (void)state;
    assert_non_null(value_sender("a b@c"));
    assert_non_null(value_sender("a@b..c"));
    assert_non_null(value_sender("(x)@y"));
    assert_null(value_sender("\"a b\"@c"));
    assert_null(value_sender("<>"));
    assert_null(value_sender("return-path"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetchrc_envelope_and_smtp_agree_on_a_sender),
        cmocka_unit_test(a_sender_that_would_become_the_null_sender_is_a_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
