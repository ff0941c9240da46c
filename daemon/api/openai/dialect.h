/* OpenAI's completions as dialects. */
#ifndef FG_API_OPENAI_DIALECT_H
#define FG_API_OPENAI_DIALECT_H

#include "api/common/dialect.h"

extern const struct fg_dialect fg_openai_text;    /* /v1/completions */
extern const struct fg_dialect fg_openai_chat;    /* /v1/chat/completions */
extern const struct fg_dialect fg_openai_explain; /* a body of either, "messages" telling which; a
                                                   * forecast */

#endif
