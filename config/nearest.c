/* What was probably meant by a name that a fetchrc does not know. */
#include <ctype.h>
#include <string.h>

#include "config/options.h"

#define NAME_MAX_LEN 32 /* longer ones are near to none */

/* What other programs call it; a name is looked up in the section that it stands in. */
static const struct {
    const char *name;
    const char *meant;
} synonyms[] = {
    {"user", "username"},
    {"login", "username"},
    {"pass", "password"},
    {"passwd", "password"},
    {"passwordeval", "password_command"},
    {"passwordcommand", "password_command"},
    {"server", "host"},
    {"hostname", "host"},
    {"address", "host"},
    {"ssl", "tls"},
    {"sslproto", "tls"},
    {"starttls", "tls"},
    {"encryption", "tls"},
    {"cafile", "tls_ca_file"},
    {"tlstrustfile", "tls_ca_file"},
    {"sslcertfile", "tls_ca_file"},
    {"sslcert", "tls_cert_file"},
    {"sslkey", "tls_key_file"},
    {"sslfingerprint", "tls_fingerprint"},
    {"to", "recipients"},
    {"rcpt", "recipients"},
    {"is", "recipients"},
    {"from", "sender"},
    {"delivery", "destination"},
    {"deliver", "destination"},
    {"smtphost", "destination"},
    {"delete", "keep"},
    {"nokeep", "keep"},
    {"fetchlimit", "max_messages"},
    {"limit", "max_size"},
    {"lmtp", "protocol"},
    {"smtp", "protocol"},
    {"proto", "protocol"},
    {"ehlo", "helo"},
    {"authentication", "auth"},
    {"skip", "enabled"},
    {"statedir", "state_dir"},
    {"parallel", "jobs"},
    {"threads", "jobs"},
    {"mailbox", "account"},
    {"poll", "account"},
    {"pop3", "account"},
    {"retriever", "account"},
    {"server", "account"},
    {"smtp", "destination"},
    {"lmtp", "destination"},
    {"mda", "destination"},
    {"delivery", "destination"},
    {"oauth2", "oauth"},
};

/* One line of the matrix is enough. What is longer than any option's name is far from all alike. */
unsigned option_distance(const char *known, const char *name, size_t len)
{
    unsigned line[NAME_MAX_LEN + 1];
    size_t width = strlen(known);
    size_t i, j;

    if (width > NAME_MAX_LEN || len > 2 * NAME_MAX_LEN)
        return 2 * NAME_MAX_LEN;
    for (j = 0; j <= width; j++)
        line[j] = (unsigned)j;
    for (i = 0; i < len; i++) {
        unsigned diagonal = line[0];
        line[0] = (unsigned)i + 1;
        for (j = 0; j < width; j++) {
            unsigned change = diagonal + (name[i] != known[j]);
            unsigned step = (line[j] < line[j + 1] ? line[j] : line[j + 1]) + 1;
            diagonal = line[j + 1];
            line[j + 1] = change < step ? change : step;
        }
    }
    return line[width];
}

/* Small letters and digits alone: "CAfile" and "ca_file" are one. False where it is too long. */
static bool bare(char *dst, const char *name, size_t len)
{
    size_t used = 0;
    size_t i;

    for (i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]))
            continue;
        if (used == NAME_MAX_LEN)
            return false;
        dst[used++] = (char)tolower((unsigned char)name[i]);
    }
    dst[used] = '\0';
    return used > 0;
}

bool option_is_near(const char *known, const char *name, size_t len)
{
    unsigned most = len < 3 ? 0 : len == 3 ? 1 : len < 9 ? 2 : 3;

    return option_distance(known, name, len) <= most;
}

/* How far the name is from what is known; lower is nearer. */
enum { FAR = 1000, BY_EDIT = 300, BY_PART = 200, BY_START = 100, BY_SYNONYM = 1 };

static unsigned rank(const char *known, const char *name, size_t len)
{
    char short_known[NAME_MAX_LEN + 1];
    char short_name[NAME_MAX_LEN + 1];
    size_t known_len, name_len;
    unsigned difference;
    size_t i;

    if (!bare(short_known, known, strlen(known)) || !bare(short_name, name, len))
        return FAR;
    known_len = strlen(short_known);
    name_len = strlen(short_name);
    difference = (unsigned)(known_len > name_len ? known_len - name_len : name_len - known_len);
    if (strcmp(short_known, short_name) == 0)
        return 0;
    for (i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++) {
        if (strcmp(synonyms[i].name, short_name) == 0 && strcmp(synonyms[i].meant, known) == 0)
            return BY_SYNONYM;
    }
    if (name_len > 3 && option_distance(short_known, short_name, name_len) == 1)
        return BY_SYNONYM + 1;
    if ((name_len > 2 && strncmp(short_known, short_name, name_len) == 0) ||
        (known_len > 3 && strncmp(short_known, short_name, known_len) == 0))
        return BY_START + difference;
    if ((name_len > 2 && strstr(short_known, short_name) != NULL) ||
        (known_len > 3 && strstr(short_name, short_known) != NULL))
        return BY_PART + difference;
    return option_is_near(short_known, short_name, name_len)
               ? BY_EDIT + option_distance(short_known, short_name, name_len)
               : FAR;
}

const struct option_row *option_nearest(enum option_section section, const char *name, size_t len)
{
    const struct option_table *table = &option_tables[section];
    const struct option_row *nearest = NULL;
    unsigned least = FAR;
    size_t i;

    for (i = 0; i < table->count; i++) {
        unsigned here = rank(table->rows[i].name, name, len);
        if (here < least) {
            least = here;
            nearest = &table->rows[i];
        }
    }
    return nearest;
}

enum option_section option_section_nearest(const char *name, size_t len)
{
    enum option_section nearest = SECTION_COUNT;
    unsigned least = FAR;
    enum option_section s;

    for (s = SECTION_DESTINATION; s < SECTION_COUNT; s++) {
        unsigned here = rank(option_tables[s].name, name, len);
        if (here < least) {
            least = here;
            nearest = s;
        }
    }
    return nearest;
}
