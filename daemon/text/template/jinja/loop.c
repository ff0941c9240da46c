#include <stdio.h>
#include <string.h>

#include "eval.h"
#include "json.h"

/* The item at `at` that the loop's condition lets through, or false when there is none. */
static bool take_from_source(struct jj *j, struct jj_loop *l, struct jj_value *out)
{
    while (l->at < l->items->n) {
        struct jj_value v = l->items->v[l->at++];
        struct jj_scope *now = j->scope;
        bool pass = true;

        jj_spend(j, 1);
        if (l->node->c) {
            jj_scope_push(j, l->scope);
            jj_assign_target(j, l->node->a, v);
            pass = jj_eval_true(j, l->node->c);
            j->scope = now;
        }
        *out = v;
        if (pass)
            return true;
    }
    return false;
}

static bool take(struct jj *j, struct jj_loop *l, struct jj_value *out)
{
    if (l->ahead && l->ahead_at < l->ahead->n) {
        *out = l->ahead->v[l->ahead_at++];
        return true;
    }
    return take_from_source(j, l, out);
}

/* The next item, which stays the next. */
static bool peek(struct jj *j, struct jj_loop *l, struct jj_value *out)
{
    if (!l->ahead)
        l->ahead = jj_list(j);
    if (l->ahead_at == l->ahead->n) {
        if (!take_from_source(j, l, out))
            return false;
        jj_push(j, l->ahead, *out);
    }
    *out = l->ahead->v[l->ahead_at];
    return true;
}

static size_t loop_length(struct jj *j, struct jj_loop *l)
{
    struct jj_value v;

    if (!l->node->c)
        return l->items->n;
    if (!l->ahead)
        l->ahead = jj_list(j);
    while (take_from_source(j, l, &v))
        jj_push(j, l->ahead, v);
    return l->index + (l->ahead->n - l->ahead_at);
}

/* The index of the message that an item is; false where it is none. */
static bool message_of(struct jj *j, struct jj_value v, size_t *message)
{
    const struct jj_origin *o = &j->origins[v.kind == JJ_DICT ? v.src : 0];

    if (o->source != FG_JINJA_MESSAGE || o->field->n)
        return false;
    *message = o->message;
    return true;
}

static void add_turn(struct jj *j, size_t message, size_t from, size_t to)
{
    if (from == to)
        return;
    j->turns = jj_grow(j, j->turns, &j->cap_turns, j->n_turns + 1, sizeof *j->turns);
    j->turns[j->n_turns++] =
        (struct fg_jinja_range){.offset = from, .length = to - from, .message = message};
}

/* The body for one item. */
static enum jj_flow exec_item(struct jj *j, struct jj_loop *l, struct jj_value item)
{
    size_t from = j->text->n, message, turns = j->n_turns;
    enum jj_flow flow;

    l->previous = l->current;
    l->current = item;
    l->index++;
    jj_assign_target(j, l->node->a, item);
    jj_assign(j, j->program->loop, (struct jj_value){.kind = JJ_LOOP, .loop = l});
    flow = jj_exec(j, l->node->body);
    /* Of loops over messages in each other the outermost counts. */
    if (j->text == j->root && message_of(j, item, &message)) {
        j->n_turns = turns;
        add_turn(j, message, from, j->text->n);
    }
    return flow;
}

static struct jj_scope *fresh_scope(struct jj *j, struct jj_scope *s, struct jj_scope *outer)
{
    if (!s || s->kept)
        return jj_scope_push(j, outer);
    s->n = 0;
    return j->scope = s;
}

/* Runs through the loop; a break that its else block wants for the loop around is returned. As in
 * Jinja2, else means that no item's body came to its end. */
static enum jj_flow run(struct jj *j, struct jj_loop *l)
{
    struct jj_scope *outer = j->scope, *s = NULL;
    enum jj_flow flow = JJ_GO_ON;
    struct jj_value item;
    bool any = false;

    while (flow != JJ_BREAK && take(j, l, &item)) {
        s = fresh_scope(j, s, l->scope);
        flow = exec_item(j, l, item);
        any |= flow == JJ_GO_ON;
        j->scope = outer;
    }
    flow = JJ_GO_ON;
    if (!any && l->node->otherwise) {
        jj_scope_push(j, l->scope);
        flow = jj_exec(j, l->node->otherwise);
        j->scope = outer;
    }
    return flow;
}

enum jj_flow jj_exec_for(struct jj *j, const struct jj_node *n)
{
    struct jj_loop *l = jj_alloc(j, sizeof *l);

    l->node = n;
    l->scope = j->scope;
    l->items = jj_items(j, jj_eval(j, n->b));
    l->level = 1;
    return run(j, l);
}

struct jj_value jj_loop_call(struct jj *j, struct jj_loop *loop, struct jj_value items)
{
    struct jj_loop *l = jj_alloc(j, sizeof *l);
    struct jj_text t = {0}, *outer = j->text;

    if (!loop->node->recursive)
        jj_raise(j, "The loop must have the 'recursive' marker to be called recursively.");
    l->node = loop->node;
    l->scope = loop->scope;
    l->items = jj_items(j, items);
    l->level = loop->level + 1;
    j->text = &t;
    run(j, l);
    j->text = outer;
    return jj_of_str(jj_text_end(j, &t));
}

static struct jj_value loop_cycle(struct jj *j, struct jj_value self, const struct jj_args *args)
{
    if (!args->n)
        jj_raise(j, "no items for cycling given");
    return args->v[(self.loop->index - 1) % args->n];
}

static struct jj_value loop_changed(struct jj *j, struct jj_value self, const struct jj_args *args)
{
    struct jj_list *l = jj_list(j);
    struct jj_value now = jj_of_list(JJ_TUPLE, l);
    bool changed;

    for (size_t i = 0; i < args->n; i++)
        jj_push(j, l, args->v[i]);
    changed = !jj_equal(j, self.loop->changed, now);
    self.loop->changed = now;
    return jj_bool(changed);
}

static const struct jj_function methods[] = {
    {"cycle", NULL, loop_cycle}, {"changed", NULL, loop_changed}, {0}};

static struct jj_value neighbour(struct jj *j, struct jj_loop *l, bool next)
{
    struct jj_value v;

    if (next)
        return peek(j, l, &v) ? v : jj_undefined(j, "there is no next item");
    return l->index > 1 ? l->previous : jj_undefined(j, "there is no previous item");
}

struct jj_value jj_loop_attribute(struct jj *j, struct jj_value self, const struct jj_str *name)
{
    struct jj_loop *l = self.loop;
    const struct jj_function *method = jj_find_function(methods, name);
    struct jj_method *bound;
    struct jj_value v;

    if (method) {
        bound = jj_alloc(j, sizeof *bound);
        *bound = (struct jj_method){.self = self, .function = method};
        return (struct jj_value){.kind = JJ_METHOD, .method = bound};
    }
    if (jj_str_is(name, "index"))
        return jj_int((int64_t)l->index);
    if (jj_str_is(name, "index0"))
        return jj_int((int64_t)l->index - 1);
    if (jj_str_is(name, "first"))
        return jj_bool(l->index == 1);
    if (jj_str_is(name, "last"))
        return jj_bool(!peek(j, l, &v));
    if (jj_str_is(name, "length"))
        return jj_int((int64_t)loop_length(j, l));
    if (jj_str_is(name, "revindex"))
        return jj_int((int64_t)(loop_length(j, l) - l->index) + 1);
    if (jj_str_is(name, "revindex0"))
        return jj_int((int64_t)(loop_length(j, l) - l->index));
    if (jj_str_is(name, "previtem") || jj_str_is(name, "nextitem"))
        return neighbour(j, l, jj_str_is(name, "nextitem"));
    if (jj_str_is(name, "depth"))
        return jj_int(l->level);
    if (jj_str_is(name, "depth0"))
        return jj_int((int64_t)l->level - 1);
    return jj_undefined(j, "'LoopContext' object has no attribute '%.*s'", (int)name->n, name->p);
}
