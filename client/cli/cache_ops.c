/* fulgur cache ls, forget, verify, gc. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "input.h"
#include "interrupt.h"
#include "terminal.h"

/* ---- ls ---------------------------------------------------------------------------------------*/

static void print_entry(const struct fg_client_cache_entry *e)
{
    char size[32], own[32];

    printf("%-12.12s  %-6s %8llu %7llu %11s %11s %7llu  ", e->id, e->branch ? "branch" : "leaf",
           (unsigned long long)e->tokens, (unsigned long long)e->states,
           fg_cli_size_text(e->bytes, size, sizeof size),
           fg_cli_size_text(e->own_bytes, own, sizeof own), (unsigned long long)e->newer);
    if (e->current) {
        size_t n = strlen(e->text);
        fg_cli_terminal_write(stdout, e->text, n);
    } else {
        printf("(%s)", e->model);
    }
    putchar('\n');
}

int fg_cli_cache_ls(const struct fg_cli_cache *c, struct fg_client *client)
{
    struct fg_client_cache_list list;
    struct fg_err err;
    char path[64];

    if (c->json) {
        snprintf(path, sizeof path, "/v1/fulgur/cache/ls?limit=%u", (unsigned)c->limit);
        return fg_cli_print_json(c->cli, path);
    }
    if (fg_client_cache_ls(client, c->limit, &list, &err) < 0) {
        return fg_cli_fail(c->cli, &err);
    }
    printf("%-12s  %-6s %8s %7s %11s %11s %7s  %s\n", "ID", "KIND", "TOKENS", "STATES", "SIZE",
           "OWN", "NEWER", "TEXT");
    for (size_t i = 0; i < list.n_entries; i++) {
        print_entry(&list.entries[i]);
    }
    if (list.n_entries < list.total) {
        printf("%zu of %llu; --limit shows more\n", list.n_entries, (unsigned long long)list.total);
    }
    fg_client_cache_list_finish(&list);
    return FG_CLI_OK;
}

/* ---- which one --------------------------------------------------------------------------------*/

static int find(const struct fg_cli_cache *c, struct fg_client *client,
                const struct fg_cli_text *text, char *id)
{
    struct fg_client_message messages[2];
    struct fg_client_cache_found found;
    struct fg_client_request request;
    struct fg_err err;

    fg_client_request_init(&request);
    fg_cli_prompt_request(&request, messages, c->system, c->raw, text);
    if (fg_client_cache_find(client, &request, &found, &err) < 0) {
        return fg_cli_fail(c->cli, &err);
    }
    fprintf(stderr, "%s: %.12s: %llu of the prompt's %llu tokens are stored\n", c->file, found.id,
            (unsigned long long)found.tokens, (unsigned long long)found.prompt_tokens);
    memcpy(id, found.id, FG_CLIENT_CACHE_ID);
    return FG_CLI_OK;
}

int fg_cli_cache_id(const struct fg_cli_cache *c, struct fg_client *client, char *id,
                    bool *from_file)
{
    struct fg_cli_prompt from = {.files = &c->file, .n_files = 1, .raw = c->raw};
    struct fg_cli_text text;
    struct fg_err err;
    int code;

    *from_file = c->file != NULL;
    if (c->id) {
        if (strlen(c->id) >= FG_CLIENT_CACHE_ID) {
            return fg_cli_usage(c->cli, "--id '%s': should be 1 to 32 hexadecimal digits", c->id);
        }
        memcpy(id, c->id, strlen(c->id) + 1);
        return FG_CLI_OK;
    }
    if (fg_cli_prompt_read(&from, &text, &err) < 0) {
        return fg_cli_fail(c->cli, &err);
    }
    code = find(c, client, &text, id);
    free(text.p);
    return code;
}

/* ---- forget -----------------------------------------------------------------------------------*/

int fg_cli_cache_forget(const struct fg_cli_cache *c, struct fg_client *client)
{
    struct fg_client_cache_records gone;
    char id[FG_CLIENT_CACHE_ID], size[32];
    bool named = c->id || c->file, from_file = false;
    struct fg_err err;
    int code = FG_CLI_OK;

    if (!named && !c->all) {
        return fg_cli_usage(c->cli, "what to forget: should be --id ID, --file FILE or --all");
    }
    if (named) {
        code = fg_cli_cache_id(c, client, id, &from_file);
    }
    if (code != FG_CLI_OK) {
        return code;
    }
    if (fg_client_cache_forget(client, named ? id : NULL, from_file || c->all, &gone, &err) < 0) {
        return fg_cli_fail(c->cli, &err);
    }
    printf("removed %llu blocks and %llu states, %s\n", (unsigned long long)gone.blocks,
           (unsigned long long)gone.states, fg_cli_size_text(gone.bytes, size, sizeof size));
    return FG_CLI_OK;
}

/* ---- verify -----------------------------------------------------------------------------------*/

static int show_progress(void *ctx, uint64_t done, uint64_t total)
{
    (void)ctx;
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%llu of %llu tokens", (unsigned long long)done,
                (unsigned long long)total);
    }
    return 0;
}

static int print_verified(const struct fg_client_cache_verified *v)
{
    printf("%llu prompts: %llu records verified, %llu wrong, %llu unreadable",
           (unsigned long long)v->prefixes, (unsigned long long)v->verified,
           (unsigned long long)v->wrong, (unsigned long long)v->unreadable);
    if (v->gone) {
        printf(", %llu gone meanwhile", (unsigned long long)v->gone);
    }
    if (v->skipped) {
        printf(", %llu blocks longer than the context", (unsigned long long)v->skipped);
    }
    puts(v->wrong || v->unreadable ? " (dropped)" : "");
    return v->wrong || v->unreadable ? FG_CLI_ERROR : FG_CLI_OK;
}

int fg_cli_cache_verify(const struct fg_cli_cache *c, struct fg_client *client)
{
    const struct fg_client_watch watch = {.progress = show_progress};
    struct fg_client_cache_verified v;
    struct fg_cli_interrupt interrupt;
    char id[FG_CLIENT_CACHE_ID];
    bool named = c->id || c->file, from_file;
    struct fg_err err;
    int rc, code;

    if (named == c->all) {
        return fg_cli_usage(c->cli, "what to verify: should be one of --id ID, --file FILE, --all");
    }
    if (named && (code = fg_cli_cache_id(c, client, id, &from_file)) != FG_CLI_OK) {
        return code;
    }
    if (fg_cli_interrupt_init(&interrupt, client) < 0) {
        return FG_CLI_ERROR;
    }
    rc = fg_client_cache_verify(client, named ? id : NULL, c->limit, &watch, &v, &err);
    fg_cli_interrupt_finish(&interrupt);
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
    if (rc < 0) {
        fg_cli_fail(c->cli, &err);
        return rc == FG_ECANCELED ? FG_CLI_INTERRUPTED : FG_CLI_ERROR;
    }
    return print_verified(&v);
}

/* ---- gc ---------------------------------------------------------------------------------------*/

int fg_cli_cache_gc(const struct fg_cli_cache *c, struct fg_client *client)
{
    uint64_t before, after;
    char a[32], b[32];
    struct fg_err err;

    if (fg_client_cache_gc(client, &before, &after, &err) < 0) {
        return fg_cli_fail(c->cli, &err);
    }
    printf("%s before, %s now\n", fg_cli_size_text(before, a, sizeof a),
           fg_cli_size_text(after, b, sizeof b));
    return FG_CLI_OK;
}
