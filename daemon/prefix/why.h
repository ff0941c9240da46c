/* Why no more of a prompt was reused, as every answer says it. Plain data, any thread. */
#ifndef FG_WHY_H
#define FG_WHY_H

#include <stdint.h>

/* Why no more of a prompt was reused. */
enum fg_cache_reason {
    FG_REASON_COMPLETE,        /* nothing more could be: every whole block was there */
    FG_REASON_TOO_SHORT,       /* the prompt fills no block beside the token that is computed */
    FG_REASON_DISABLED,        /* the request asked for no cache */
    FG_REASON_NEW_PREFIX,      /* nothing that is stored begins with the prompt's first token */
    FG_REASON_EXTENDED,        /* what is stored ends here, the prompt goes on */
    FG_REASON_DIVERGED,        /* what is stored goes on otherwise */
    FG_REASON_STATE_MISSING,   /* more blocks are there, but no state behind them to go on from */
    FG_REASON_EVICTED,         /* it was there, and went to make room */
    FG_REASON_CORRUPT_DROPPED, /* it was there, and did not verify, or gave no finite logits */
    FG_REASON_FORMAT_CHANGED,  /* it was there, in a file of an earlier build's format */
    FG_REASON_MODEL_CHANGED,   /* it is there, computed by another model */
    FG_REASON_DEVICE_CHANGED,  /* it is there, with other numerics: KV type, mode, device */
    FG_REASON_STORE_BUSY,      /* the store could not give it now: being written or reopened */
};

/* Its name in responses and in the log, static storage. */
static inline const char *fg_reason_name(enum fg_cache_reason reason)
{
    switch (reason) {
    case FG_REASON_COMPLETE: return "complete";
    case FG_REASON_TOO_SHORT: return "too_short";
    case FG_REASON_DISABLED: return "disabled";
    case FG_REASON_NEW_PREFIX: return "new_prefix";
    case FG_REASON_EXTENDED: return "extended";
    case FG_REASON_DIVERGED: return "diverged";
    case FG_REASON_STATE_MISSING: return "state_missing";
    case FG_REASON_EVICTED: return "evicted";
    case FG_REASON_CORRUPT_DROPPED: return "corrupt_dropped";
    case FG_REASON_FORMAT_CHANGED: return "format_changed";
    case FG_REASON_MODEL_CHANGED: return "model_changed";
    case FG_REASON_DEVICE_CHANGED: return "device_changed";
    case FG_REASON_STORE_BUSY: return "store_busy";
    }
    return "unknown";
}

enum { FG_WHY_TEXT = 128, FG_WHY_RULE = 320 };

struct fg_cache_why {
    enum fg_cache_reason reason;
    int64_t diverged_at; /* token at which the prompt leaves what is stored; -1: it does not */
    /* The text before that token, which is the same, and from it on: the prompt's, and the stored
     * prompt's that agrees the longest. A dozen tokens each, not NUL-terminated. */
    char before[FG_WHY_TEXT], prompt[FG_WHY_TEXT], stored[FG_WHY_TEXT];
    uint32_t before_bytes, prompt_bytes, stored_bytes;
    /* A rule that would have moved the line in which it does, as it stands in a file of rules
     * (text/repair/); none: no bytes. */
    char rule[FG_WHY_RULE];
    uint32_t rule_bytes;
};

#endif
