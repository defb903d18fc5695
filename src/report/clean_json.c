#include "report/clean_json.h"

#include "base/utf8.h"

#define CLEAN_MAX (256 * 1024) /* octets; the rest of a longer text is cut */

json_t *clean_json(const char *text, size_t len)
{
    struct buf clean;
    json_t *value;

    buf_init(&clean, CLEAN_MAX);
    (void)utf8_clean(&clean, text, len);
    value = json_stringn(clean.len > 0 ? clean.data : "", clean.len);
    buf_free(&clean);
    return value;
}
