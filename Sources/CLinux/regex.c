#define _GNU_SOURCE
#include "CLinux.h"

#include <locale.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

struct clinux_regex {
    regex_t compiled;
};

clinux_regex *clinux_regex_compile(const char *text, bool ignores_case, char *message,
                                   unsigned message_bytes)
{
    snprintf(message, message_bytes, "out of memory");
    clinux_regex *regex = malloc(sizeof(*regex));
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!regex || !c_locale) {
        free(regex);
        return NULL;
    }
    // Names are bytes: what the environment says of letters and encodings must not matter.
    locale_t before = uselocale(c_locale);
    int result = regcomp(&regex->compiled, text, REG_EXTENDED | (ignores_case ? REG_ICASE : 0));
    uselocale(before);
    if (result != 0) {
        regerror(result, &regex->compiled, message, message_bytes);
        free(regex);
        regex = NULL;
    }
    freelocale(c_locale);
    return regex;
}

void clinux_regex_free(clinux_regex *regex)
{
    if (!regex)
        return;
    regfree(&regex->compiled);
    free(regex);
}

bool clinux_regex_match(const clinux_regex *regex, const char *text, bool starts_inside,
                        int32_t places[20])
{
    regmatch_t matches[10];
    if (regexec(&regex->compiled, text, 10, matches, starts_inside ? REG_NOTBOL : 0) != 0)
        return false;
    for (unsigned group = 0; group < 10; group++) {
        places[2 * group] = matches[group].rm_so;
        places[2 * group + 1] = matches[group].rm_eo;
    }
    return true;
}
