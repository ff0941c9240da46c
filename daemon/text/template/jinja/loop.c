#include <stdio.h>
#include <string.h>

#include "eval.h"
#include "json.h"

/* The item at `at` that the loop's condition lets through, or false when there is none. */
static bool take_from_source(struct fg_jj *j, struct fg_jj_loop *l, struct fg_jj_value *out)
{
    while (l->at < l->items->n) {
        struct fg_jj_value v = l->items->v[l->at++];
        struct fg_jj_scope *now = j->scope;
        bool pass = true;

        fg_jj_spend(j, 1);
        if (l->node->c) {
            fg_jj_scope_push(j, l->scope);
            fg_jj_assign_target(j, l->node->a, v);
            pass = fg_jj_eval_true(j, l->node->c);
            j->scope = now;
        }
        *out = v;
        if (pass)
            return true;
    }
    return false;
}

static bool take(struct fg_jj *j, struct fg_jj_loop *l, struct fg_jj_value *out)
{
    if (l->ahead && l->ahead_at < l->ahead->n) {
        *out = l->ahead->v[l->ahead_at++];
        return true;
    }
    return take_from_source(j, l, out);
}

/* The next item, which stays the next. */
static bool peek(struct fg_jj *j, struct fg_jj_loop *l, struct fg_jj_value *out)
{
    if (!l->ahead)
        l->ahead = fg_jj_list(j);
    if (l->ahead_at == l->ahead->n) {
        if (!take_from_source(j, l, out))
            return false;
        fg_jj_push(j, l->ahead, *out);
    }
    *out = l->ahead->v[l->ahead_at];
    return true;
}

static size_t loop_length(struct fg_jj *j, struct fg_jj_loop *l)
{
    struct fg_jj_value v;

    if (!l->node->c)
        return l->items->n;
    if (!l->ahead)
        l->ahead = fg_jj_list(j);
    while (take_from_source(j, l, &v))
        fg_jj_push(j, l->ahead, v);
    return l->index + (l->ahead->n - l->ahead_at);
}

/* The index of the message that an item is; false where it is none. */
static bool message_of(struct fg_jj *j, struct fg_jj_value v, size_t *message)
{
    const struct fg_jj_origin *o = &j->origins[v.kind == FG_JJ_DICT ? v.src : 0];

    if (o->source != FG_JINJA_MESSAGE || o->field->n)
        return false;
    *message = o->message;
    return true;
}

static void add_turn(struct fg_jj *j, size_t message, size_t from, size_t to)
{
    if (from == to)
        return;
    j->turns = fg_jj_grow(j, j->turns, &j->cap_turns, j->n_turns + 1, sizeof *j->turns);
    j->turns[j->n_turns++] =
        (struct fg_jinja_range){.offset = from, .length = to - from, .message = message};
}

/* The body for one item. */
static enum fg_jj_flow exec_item(struct fg_jj *j, struct fg_jj_loop *l, struct fg_jj_value item)
{
    size_t from = j->text->n, message, turns = j->n_turns;
    enum fg_jj_flow flow;

    l->previous = l->current;
    l->current = item;
    l->index++;
    fg_jj_assign_target(j, l->node->a, item);
    fg_jj_assign(j, j->program->loop, (struct fg_jj_value){.kind = FG_JJ_LOOP, .loop = l});
    flow = fg_jj_exec(j, l->node->body);
    /* Of loops over messages in each other the outermost counts. */
    if (j->text == j->root && message_of(j, item, &message)) {
        j->n_turns = turns;
        add_turn(j, message, from, j->text->n);
    }
    return flow;
}

static struct fg_jj_scope *fresh_scope(struct fg_jj *j, struct fg_jj_scope *s,
                                       struct fg_jj_scope *outer)
{
    if (!s || s->kept)
        return fg_jj_scope_push(j, outer);
    s->n = 0;
    return j->scope = s;
}

/* Runs through the loop; a break that its else block wants for the loop around is returned. As in
 * Jinja2, else means that no item's body came to its end. */
static enum fg_jj_flow run(struct fg_jj *j, struct fg_jj_loop *l)
{
    struct fg_jj_scope *outer = j->scope, *s = NULL;
    enum fg_jj_flow flow = FG_JJ_GO_ON;
    struct fg_jj_value item;
    bool any = false;

    while (flow != FG_JJ_BREAK && take(j, l, &item)) {
        s = fresh_scope(j, s, l->scope);
        flow = exec_item(j, l, item);
        any |= flow == FG_JJ_GO_ON;
        j->scope = outer;
    }
    flow = FG_JJ_GO_ON;
    if (!any && l->node->otherwise) {
        fg_jj_scope_push(j, l->scope);
        flow = fg_jj_exec(j, l->node->otherwise);
        j->scope = outer;
    }
    return flow;
}

enum fg_jj_flow fg_jj_exec_for(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_loop *l = fg_jj_alloc(j, sizeof *l);

    l->node = n;
    l->scope = j->scope;
    l->items = fg_jj_items(j, fg_jj_eval(j, n->b));
    l->level = 1;
    return run(j, l);
}

struct fg_jj_value fg_jj_loop_call(struct fg_jj *j, struct fg_jj_loop *loop,
                                   struct fg_jj_value items)
{
    struct fg_jj_loop *l = fg_jj_alloc(j, sizeof *l);
    struct fg_jj_text t = {0}, *outer = j->text;

    if (!loop->node->recursive)
        fg_jj_raise(j, "The loop must have the 'recursive' marker to be called recursively.");
    l->node = loop->node;
    l->scope = loop->scope;
    l->items = fg_jj_items(j, items);
    l->level = loop->level + 1;
    j->text = &t;
    run(j, l);
    j->text = outer;
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

static struct fg_jj_value loop_cycle(struct fg_jj *j, struct fg_jj_value self,
                                     const struct fg_jj_args *args)
{
    if (!args->n)
        fg_jj_raise(j, "no items for cycling given");
    return args->v[(self.loop->index - 1) % args->n];
}

static struct fg_jj_value loop_changed(struct fg_jj *j, struct fg_jj_value self,
                                       const struct fg_jj_args *args)
{
    struct fg_jj_list *l = fg_jj_list(j);
    struct fg_jj_value now = fg_jj_of_list(FG_JJ_TUPLE, l);
    bool changed;

    for (size_t i = 0; i < args->n; i++)
        fg_jj_push(j, l, args->v[i]);
    changed = !fg_jj_equal(j, self.loop->changed, now);
    self.loop->changed = now;
    return fg_jj_bool(changed);
}

static const struct fg_jj_function methods[] = {
    {"cycle", NULL, loop_cycle}, {"changed", NULL, loop_changed}, {0}};

static struct fg_jj_value neighbour(struct fg_jj *j, struct fg_jj_loop *l, bool next)
{
    struct fg_jj_value v;

    if (next)
        return peek(j, l, &v) ? v : fg_jj_undefined(j, "there is no next item");
    return l->index > 1 ? l->previous : fg_jj_undefined(j, "there is no previous item");
}

struct fg_jj_value fg_jj_loop_attribute(struct fg_jj *j, struct fg_jj_value self,
                                        const struct fg_jj_str *name)
{
    struct fg_jj_loop *l = self.loop;
    const struct fg_jj_function *method = fg_jj_find_function(methods, name);
    struct fg_jj_method *bound;
    struct fg_jj_value v;

    if (method) {
        bound = fg_jj_alloc(j, sizeof *bound);
        *bound = (struct fg_jj_method){.self = self, .function = method};
        return (struct fg_jj_value){.kind = FG_JJ_METHOD, .method = bound};
    }
    if (fg_jj_str_is(name, "index"))
        return fg_jj_int((int64_t)l->index);
    if (fg_jj_str_is(name, "index0"))
        return fg_jj_int((int64_t)l->index - 1);
    if (fg_jj_str_is(name, "first"))
        return fg_jj_bool(l->index == 1);
    if (fg_jj_str_is(name, "last"))
        return fg_jj_bool(!peek(j, l, &v));
    if (fg_jj_str_is(name, "length"))
        return fg_jj_int((int64_t)loop_length(j, l));
    if (fg_jj_str_is(name, "revindex"))
        return fg_jj_int((int64_t)(loop_length(j, l) - l->index) + 1);
    if (fg_jj_str_is(name, "revindex0"))
        return fg_jj_int((int64_t)(loop_length(j, l) - l->index));
    if (fg_jj_str_is(name, "previtem") || fg_jj_str_is(name, "nextitem"))
        return neighbour(j, l, fg_jj_str_is(name, "nextitem"));
    if (fg_jj_str_is(name, "depth"))
        return fg_jj_int(l->level);
    if (fg_jj_str_is(name, "depth0"))
        return fg_jj_int((int64_t)l->level - 1);
    return fg_jj_undefined(j, "'LoopContext' object has no attribute '%.*s'", (int)name->n,
                           name->p);
}
