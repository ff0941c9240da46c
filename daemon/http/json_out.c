#include "json_out.h"

char *fg_json_dump(const json_t *v)
{
    return v ? json_dumps(v, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
}
