/* OpenAI's Responses API as a dialect. */
#ifndef FG_API_RESPONSES_H
#define FG_API_RESPONSES_H

#include "api/common/dialect.h"

extern const struct fg_dialect fg_openai_response; /* /v1/responses */

#endif
