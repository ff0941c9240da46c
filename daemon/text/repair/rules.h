/* Rules as they are kept. For the files of this folder. */
#ifndef FG_REPAIR_RULES_H
#define FG_REPAIR_RULES_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "repair.h"

struct fg_repair_rule {
    char name[FG_REPAIR_MAX_NAME + 1];
    enum fg_repair_where where;
    bool move; /* else it is left out */
    pcre2_code *code;
};

struct fg_repair {
    struct fg_repair_rule rules[FG_REPAIR_MAX_RULES];
    size_t n;
};

/* Bytes [from, to) of a content. */
struct line {
    size_t from, to;
};

#endif
