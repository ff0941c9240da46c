/* Items and events of the Responses API. Pure; any thread. Objects are the caller's; NULL: out of
 * memory. */
#ifndef FG_API_RESPONSES_JSON_H
#define FG_API_RESPONSES_JSON_H

#include <stdbool.h>
#include <jansson.h>

#include "api/common/blocks.h"
#include "serve/job.h"

/* What an item is named by: msg_NONCE_INDEX, rs_..., fc_... */
enum { FG_ITEM_ID = 64 };
void fg_item_id(const char *nonce, const struct fg_block *block, size_t index, char id[FG_ITEM_ID]);

/* The item as it is in the end, or (`begins`) as a stream begins it. */
json_t *fg_item_json(const char *nonce, const struct fg_block *block, size_t index, bool begins);
/* The part that a message or reasoning holds, with that text. */
json_t *fg_item_part(const struct fg_block *block, struct fg_str text);
/* A block's text, as items have it. */
json_t *fg_item_text(const struct fg_buffer *text);

json_t *fg_response_usage(const struct fg_job_account *account);

#endif
