#include "job_event.h"

#include <stdlib.h>
#include <string.h>

struct fg_job_event_item *fg_job_event_copy(void *to, const struct fg_job_event *event)
{
    size_t n_top = 0, at = sizeof(struct fg_job_event_item);
    struct fg_job_event_item *item;
    struct fg_job_token *tokens;
    struct fg_token_logprob *top;
    int32_t *prompt;

    for (size_t i = 0; i < event->n_tokens; i++)
        n_top += event->tokens[i].n_top;
    item = malloc(at + event->n_tokens * sizeof *tokens + n_top * sizeof *top +
                  event->n_prompt * sizeof *prompt + event->text_bytes);
    if (!item)
        return NULL;
    item->to = to;
    item->event = *event;
    tokens = (struct fg_job_token *)((char *)item + at);
    top = (struct fg_token_logprob *)(tokens + event->n_tokens);
    item->event.tokens = tokens;
    for (size_t i = 0; i < event->n_tokens; i++) {
        tokens[i] = event->tokens[i];
        tokens[i].top = top;
        if (tokens[i].n_top)
            memcpy(top, event->tokens[i].top, tokens[i].n_top * sizeof *top);
        top += tokens[i].n_top;
    }
    prompt = (int32_t *)top;
    if (event->n_prompt)
        memcpy(prompt, event->prompt, event->n_prompt * sizeof *prompt);
    item->event.prompt = prompt;
    item->event.text = (const char *)(prompt + event->n_prompt);
    if (event->text_bytes)
        memcpy(prompt + event->n_prompt, event->text, event->text_bytes);
    return item;
}
