/* Mail addresses as they stand in SMTP commands (RFC 5321 section 4.1.2). Pure. Threads: any. */
#ifndef POPFERRY_BASE_ADDRESS_H
#define POPFERRY_BASE_ADDRESS_H

#include <stdbool.h>

#define ADDRESS_MAX 253 /* octets: RFC 5321 section 4.5.3.1.3, without the angle brackets and one to spare   \
                         */

/* local-part@domain; quoted local parts and UTF-8 as in RFC 6531 allowed; with bare true also a local part
 * alone. No controls, no spaces outside quotes, no angle brackets, at most ADDRESS_MAX octets. */
bool address_ok(const char *address, bool bare);

/* Whether the text can stand between < and > without becoming more than a path. Each address_ok() does. */
bool address_fits_brackets(const char *address);

#endif
