/* Numbers as people read them. Independent of the locale. Threads: any. Errors: none; what does not fit is
 * cut. */
#ifndef POPFERRY_REPORT_HUMAN_H
#define POPFERRY_REPORT_HUMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUMAN_SIZE 32 /* octets that hold any of them */

/* "812 B", "3.4 kB", "41 MB": powers of 1000, at most three digits. Returns dst. */
char *human_octets(char dst[HUMAN_SIZE], uint64_t octets);

/* "0.4 s", "2.1 s", "3:05 min", "1:02:03 h". Returns dst. */
char *human_duration(char dst[HUMAN_SIZE], int64_t milliseconds);

/* Whether what is shown may hold more than ASCII: LC_ALL, LC_CTYPE or LANG names UTF-8. */
bool human_utf8(void);

#endif
