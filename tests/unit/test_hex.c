/* Hexadecimal digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hex.h"

static void octets_become_two_digits_each(void **state)
{
    const unsigned char octets[] = {0x00, 0x0f, 0xa0, 0x7f, 0xff};
    char text[HEX_SIZE(sizeof(octets))];

    (void)state;
    hex_write(text, octets, sizeof(octets));
    assert_string_equal(text, "000fa07fff");
    hex_write(text, octets, 0);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets_become_two_digits_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
