/* Tokens of a .fetchmailrc, as fetchmail 6.4 takes them: the longer of a quoted and an unquoted
 * reading wins. */
#include <stdlib.h>
#include <string.h>

#include "commands/import_private.h"

void lex_init(struct lex *lex, char *text)
{
    *lex = (struct lex){.at = text};
}

/* \nnn decimal, \0oo octal, \xhh hex. Moves *in on; returns the octet. */
static char number_escape(const char **in)
{
    int base = **in == 'x' || **in == 'X' ? 16 : **in == '0' ? 8 : 10;
    char digits[4] = "";
    size_t room = base == 16 ? 2 : 3;

    if (base == 16)
        (*in)++;
    strncpy(digits, *in, room);
    digits[strspn(digits, base == 16  ? "0123456789abcdefABCDEF"
                          : base == 8 ? "01234567"
                                      : "0123456789")] = '\0';
    *in += strlen(digits);
    return (char)strtol(digits, NULL, base);
}

/* Undo the escapes in place. */
static void unescape(char *text)
{
    static const char letters[] = "ntbr";
    static const char meant[] = "\n\t\b\r";
    const char *in = text;
    char *out = text;

    while (*in != '\0') {
        if (*in != '\\') {
            *out++ = *in++;
            continue;
        }
        in++;
        if (*in == '\0')
            break;
        if (*in == '\n') {
            in++;
        } else if (strchr("0123456789xX", *in) != NULL) {
            *out++ = number_escape(&in);
        } else {
            const char *letter = strchr(letters, *in);
            *out++ = letter != NULL ? meant[letter - letters] : *in;
            in++;
        }
    }
    *out = '\0';
}

static void skip_blanks(struct lex *lex)
{
    for (;;) {
        lex->at += strspn(lex->at, " \t\r\n:;,");
        if (*lex->at != '#')
            return;
        lex->at += strcspn(lex->at, "\n");
    }
}

void lex_next(struct lex *lex)
{
    size_t bare;
    size_t quoted = 0;
    char *end;

    lex->text = "=";
    if (!lex->equals)
        skip_blanks(lex);
    if (lex->equals || *lex->at == '=') {
        lex->at += lex->equals ? 0 : 1;
        lex->equals = false;
        lex->kind = LEX_EQUALS;
        return;
    }
    lex->text = lex->at;
    if (*lex->at == '\0') {
        lex->kind = LEX_END;
        return;
    }
    bare = strcspn(lex->at, "=;:, \t\r\n");
    if (*lex->at == '"' || *lex->at == '\'') {
        end = strchr(lex->at + 1, *lex->at);
        quoted = end == NULL ? 0 : (size_t)(end - lex->at) + 1;
    }
    if (quoted >= bare && quoted > 0) {
        lex->text++;
        lex->at[quoted - 1] = '\0';
        lex->at += quoted;
        lex->kind = LEX_STRING;
    } else {
        lex->at += bare;
        lex->equals = *lex->at == '=';
        if (*lex->at != '\0')
            *lex->at++ = '\0';
        lex->kind = LEX_WORD;
    }
    unescape(lex->text);
}
