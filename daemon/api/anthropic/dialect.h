/* Anthropic's Messages API as a dialect. */
#ifndef FG_API_ANTHROPIC_DIALECT_H
#define FG_API_ANTHROPIC_DIALECT_H

#include "api/common/dialect.h"

extern const struct fg_dialect fg_anthropic_message; /* /v1/messages */
extern const struct fg_dialect fg_anthropic_count;   /* /v1/messages/count_tokens */

#endif
