#include "spoken.h"

#include <stdlib.h>
#include <string.h>

struct fg_spoken_text {
    struct fg_tenant tenant;
    char id[FG_SPOKEN_MAX_ID];
    char *p; /* NULL: dropped */
    size_t n;
};

void fg_spoken_init(struct fg_spoken *s)
{
    *s = (struct fg_spoken){.n = 0};
    pthread_mutex_init(&s->lock, NULL);
}

static struct fg_spoken_text *at(const struct fg_spoken *s, size_t i)
{
    return &s->texts[(s->first + i) % FG_SPOKEN_MAX_TEXTS];
}

static void drop(struct fg_spoken *s, struct fg_spoken_text *t)
{
    if (!t->p)
        return;
    explicit_bzero(t->p, t->n);
    free(t->p);
    t->p = NULL;
    s->bytes -= t->n;
}

void fg_spoken_finish(struct fg_spoken *s)
{
    for (size_t i = 0; i < s->n; i++)
        drop(s, at(s, i));
    free(s->texts);
    pthread_mutex_destroy(&s->lock);
    s->texts = NULL;
    s->n = 0;
}

static void make_room(struct fg_spoken *s, size_t bytes)
{
    while (s->n && (s->n == FG_SPOKEN_MAX_TEXTS || s->bytes + bytes > FG_SPOKEN_MAX_BYTES ||
                    !at(s, 0)->p)) {
        drop(s, at(s, 0));
        s->first = (s->first + 1) % FG_SPOKEN_MAX_TEXTS;
        s->n--;
    }
}

/* The tenant's in the ring, or NULL. */
static struct fg_spoken_job *find_forgotten(struct fg_spoken *s, const struct fg_tenant *tenant)
{
    for (size_t i = 0; i < FG_SPOKEN_FORGOTTEN; i++)
        if (s->forgotten[i].id && fg_same_tenant(&s->forgotten[i].tenant, tenant))
            return &s->forgotten[i];
    return NULL;
}

static bool is_forgotten(struct fg_spoken *s, const struct fg_spoken_job *by)
{
    const struct fg_spoken_job *last = find_forgotten(s, &by->tenant);

    return by->id <= (last ? last->id : s->forgotten_before);
}

void fg_spoken_keep(struct fg_spoken *s, const struct fg_spoken_job *by, const char *id,
                    struct fg_str text)
{
    struct fg_spoken_text t = {.tenant = by->tenant, .n = text.n};

    if (!text.n || text.n > FG_SPOKEN_MAX_BYTES / 4 || strlen(id) >= sizeof t.id)
        return;
    strcpy(t.id, id);
    t.p = malloc(text.n);
    if (!t.p)
        return;
    memcpy(t.p, text.p, text.n);
    pthread_mutex_lock(&s->lock);
    if (!s->texts)
        s->texts = calloc(FG_SPOKEN_MAX_TEXTS, sizeof *s->texts);
    if (s->texts && !is_forgotten(s, by)) {
        make_room(s, text.n);
        *at(s, s->n++) = t;
        s->bytes += text.n;
        t.p = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    free(t.p);
}

/* The last one is the likeliest. */
static const struct fg_spoken_text *find(const struct fg_spoken *s, const struct fg_tenant *tenant,
                                         struct fg_str id)
{
    for (size_t i = s->n; i > 0; i--) {
        const struct fg_spoken_text *t = at(s, i - 1);

        if (t->p && strlen(t->id) == id.n && memcmp(t->id, id.p, id.n) == 0 &&
            fg_same_tenant(&t->tenant, tenant))
            return t;
    }
    return NULL;
}

bool fg_spoken_find(struct fg_spoken *s, const struct fg_tenant *tenant, struct fg_str id,
                    struct fg_str *text)
{
    const struct fg_spoken_text *t;
    char *copy = NULL;

    pthread_mutex_lock(&s->lock);
    t = find(s, tenant, id);
    if (t) {
        copy = malloc(t->n);
        if (copy)
            memcpy(copy, t->p, t->n);
        *text = (struct fg_str){copy, t->n};
    }
    pthread_mutex_unlock(&s->lock);
    return copy != NULL;
}

static void note_forgotten(struct fg_spoken *s, const struct fg_spoken_job *last)
{
    struct fg_spoken_job *at = find_forgotten(s, &last->tenant);

    if (!at) {
        at = &s->forgotten[s->next_forgotten++ % FG_SPOKEN_FORGOTTEN];
        if (s->forgotten_before < at->id)
            s->forgotten_before = at->id;
    }
    *at = *last;
}

void fg_spoken_forget(struct fg_spoken *s, const struct fg_spoken_job *last)
{
    pthread_mutex_lock(&s->lock);
    note_forgotten(s, last);
    for (size_t i = 0; i < s->n; i++)
        if (fg_same_tenant(&at(s, i)->tenant, &last->tenant))
            drop(s, at(s, i));
    pthread_mutex_unlock(&s->lock);
}
