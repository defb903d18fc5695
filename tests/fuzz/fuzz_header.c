/* header: fields lie within the header, one behind the other; values fit and hold no line end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/header.h"

#define CHECK(what) ((what) ? (void)0 : abort())

static void check_field(const struct header_field *field, const char *header, size_t at)
{
    char small[8];
    char *value = malloc(field->body_len + 1);

    CHECK(field->size > 0 && field->start + field->size == header + at);
    CHECK(field->name == field->start && field->name_len > 0 &&
          memchr(field->name, ':', field->name_len) == NULL);
    CHECK(field->body > field->name + field->name_len - 1 && field->body[-1] == ':');
    CHECK(field->body + field->body_len <= header + at);
    CHECK(header_value(field, value, field->body_len + 1));
    CHECK(strpbrk(value, "\r\n") == NULL);
    CHECK(value[0] == '\0' || (value[0] != ' ' && value[strlen(value) - 1] != ' '));
    CHECK(header_value(field, small, sizeof(small)) == (strlen(value) < sizeof(small)));
    free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *header = malloc(size + 1);
    struct header_field field;
    size_t before = 0;
    size_t at = 0;
    size_t named = 0;

    memcpy(header, data, size);
    while (header_next(header, size, &at, &field)) {
        CHECK(at <= size && field.start >= header + before);
        check_field(&field, header, at);
        named += header_is(&field, "Received");
        before = at;
    }
    CHECK(at == size || header[at] == '\n' || header[at] == '\r');
    CHECK(header_count(header, size, "received") == named);
    free(header);
    return 0;
}
