#include "base/hex.h"

void hex_write(char *dst, const unsigned char *octets, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < count; i++) {
        dst[2 * i] = digits[octets[i] >> 4];
        dst[2 * i + 1] = digits[octets[i] & 15];
    }
    dst[2 * count] = '\0';
}
