/* Octets as lower case hexadecimal digits: how digests and fingerprints are written.
 * Ownership: the caller's. Threads: any. Errors: none. */
#ifndef POPFERRY_BASE_HEX_H
#define POPFERRY_BASE_HEX_H

#include <stddef.h>

#define HEX_SIZE(count) (2 * (size_t)(count) + 1)

/* dst has HEX_SIZE(count) octets. */
void hex_write(char *dst, const unsigned char *octets, size_t count);

#endif
