/* Configurations of fetchmail, mpop and getmail: any octets; what comes out must be text that a fetchrc can
 * hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "commands/import_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct import *, const char *, char *) = {import_fetchmail, import_mpop,
                                                                             import_getmail};
    struct import import;
    struct buf out;
    char *text;
    size_t i;

    if (size == 0)
        return 0;
    text = malloc(size);
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    import_init(&import);
    readers[data[0] % 3](&import, "/nonexistent/rc", text);
    buf_init(&out, 64 * 1024 * 1024);
    import_render(&import, "", &out);
    for (i = 0; i < out.len; i++)
        if ((unsigned char)out.data[i] < 0x20 && out.data[i] != '\n')
            abort();
    buf_free(&out);
    import_free(&import);
    free(text);
    return 0;
}
