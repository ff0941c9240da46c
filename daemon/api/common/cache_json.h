/* What the cache did for a request, or would do, as JSON. Pure; any thread. Objects are the
 * caller's; NULL: out of memory. */
#ifndef FG_API_CACHE_JSON_H
#define FG_API_CACHE_JSON_H

#include <jansson.h>

#include "serve/job.h"

/* {"cache": {...}}: the member `fulgur` of every answer. */
json_t *fg_cache_json(const struct fg_job_account *a);
/* The whole answer to a forecast. */
json_t *fg_cache_forecast_json(const char *model, const struct fg_job_account *a);

#endif
