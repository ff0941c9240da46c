/* Responses that others may go on from, as the backend keeps them: the conversation with the
 * answer, as the inside of a JSON array, and the response's JSON. */
#ifndef FG_API_RESPONSES_KEPT_H
#define FG_API_RESPONSES_KEPT_H

#include "api/common/service.h"
#include "base/buffer.h"
#include "fulgur/str.h"
#include "http/request.h"

/* Both texts of a response that is kept. */
struct fg_kept_response {
    char *text; /* the caller's to free */
    const char *items, *response;
};

/* Keeps it for an answer whose job is done. */
void fg_responses_keep(const struct fg_service *s, const struct fg_job *job, const char *id,
                       struct fg_str items, struct fg_str response);
/* False: there is none (any more), or what there is makes no sense; out->text is NULL then. May
 * wait for the disk: not on the loop. */
bool fg_responses_recall(const struct fg_service *s, const struct fg_tenant *tenant,
                         struct fg_str id, struct fg_kept_response *out);

/* GET and DELETE /v1/responses/ID. Ends the request, once a worker has looked. */
void fg_responses_kept(const struct fg_service *s, const struct fg_tenant *tenant,
                       struct fg_request *r, const char *id);

#endif
