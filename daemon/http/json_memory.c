#include "json_memory.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <jansson.h>

/* Taken from the budget at a time: one is asked often, the other is not. */
enum { STEP = 1 << 18 };

static _Thread_local struct {
    struct fg_hold *hold; /* NULL: nothing is counted */
    struct fg_budget *budget;
    const uint8_t *tenant;
    size_t used, wanted;
} meter;

static bool take(size_t n)
{
    const size_t have = meter.hold->bytes, need = meter.used + n;

    if (need <= have)
        return true;
    if (need < have + STEP && fg_hold_more(meter.hold, meter.budget, meter.tenant, STEP) == 0)
        return true;
    if (fg_hold_more(meter.hold, meter.budget, meter.tenant, need - have) == 0)
        return true;
    meter.wanted = meter.used + n;
    return false;
}

static void *allocate(size_t n)
{
    void *p;

    if (meter.hold && !take(n))
        return NULL;
    p = malloc(n);
    if (p && meter.hold)
        meter.used += malloc_usable_size(p);
    return p;
}

static void release(void *p)
{
    size_t n = p && meter.hold ? malloc_usable_size(p) : 0;

    /* What was there before it began may be freed meanwhile. */
    meter.used -= n < meter.used ? n : meter.used;
    free(p);
}

static void install(void)
{
    json_set_alloc_funcs(allocate, release);
}

void fg_json_memory_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, install);
}

void fg_json_memory_begin(struct fg_hold *hold, struct fg_budget *budget,
                          const uint8_t tenant[FG_HTTP_TENANT_BYTES])
{
    meter.hold = hold;
    meter.budget = budget;
    meter.tenant = tenant;
    meter.used = meter.wanted = 0;
}

bool fg_json_memory_end(size_t *wanted)
{
    fg_hold_keep(meter.hold, meter.used);
    meter.hold = NULL;
    *wanted = meter.wanted;
    return meter.wanted > 0;
}
