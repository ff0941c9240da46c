/* What parsing takes of memory, counted while it happens: jansson asks for every byte here. A
 * thread that parses for somebody has its bytes taken from a budget; where there are none left,
 * jansson is told that memory ran out. */
#ifndef FG_HTTP_JSON_MEMORY_H
#define FG_HTTP_JSON_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "budget.h"

/* Has jansson ask here. Once a process, before it is used; again is fine. */
void fg_json_memory_init(void);

/* From here to the end, on this thread, what jansson takes is held by `hold`, of `budget` for
 * `tenant`; all three outlive that. Not nested. */
void fg_json_memory_begin(struct fg_hold *hold, struct fg_budget *budget,
                          const uint8_t tenant[FG_HTTP_TENANT_BYTES]);
/* What is still held is what jansson has not freed. True: the budget refused something, whose size
 * together with what was held then is *wanted. */
bool fg_json_memory_end(size_t *wanted);

#endif
