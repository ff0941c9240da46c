/* OpenAI's Responses API as a dialect. */
#ifndef FG_API_RESPONSES_H
#define FG_API_RESPONSES_H

#include "api/common/dialect.h"

extern const struct fg_dialect fg_openai_response; /* /v1/responses */

/* GET and DELETE /v1/responses/ID. Ends the request. */
void fg_responses_kept(const struct fg_service *s, const struct fg_tenant *tenant,
                       struct fg_request *r, const char *id);

#endif
