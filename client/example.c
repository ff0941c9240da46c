/* A whole program on libfulgur: asks the running daemon one question and prints the answer as it
 * arrives.
 *
 *     cc example.c $(pkg-config --cflags --libs fulgur) -o example
 *     ./example "Why is the sky blue?" */
#include <fulgur/client.h>

#include <stdio.h>
#include <string.h>

static int print_text(void *ctx, const char *text, size_t bytes)
{
    FILE *out = ctx;
    fwrite(text, 1, bytes, out);
    return fflush(out); /* not 0, nobody reads any more: ends the call */
}

int main(int argc, char **argv)
{
    const char *question = argc > 1 ? argv[1] : "Why is the sky blue?";
    struct fg_client_message message = {
        .role = "user", .content = question, .content_bytes = strlen(question)};
    struct fg_client_handler handler = {.on_text = print_text, .ctx = stdout};
    struct fg_client_request request;
    struct fg_client_result result;
    struct fg_client *client;
    struct fg_err err;

    if (fg_client_create(NULL, &client, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    fg_client_request_init(&request);
    request.messages = &message;
    request.n_messages = 1;
    request.max_tokens = 256;

    int rc = fg_client_complete(client, &request, &handler, &result, &err);
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        printf("\n[%llu of %llu prompt tokens reused (%s), first text after %.0f ms]\n",
               (unsigned long long)result.account.reused_tokens,
               (unsigned long long)result.prompt_tokens,
               fg_client_source_name(result.account.source), result.first_text_ms);
    }
    fg_client_result_finish(&result);
    fg_client_destroy(client);
    return rc < 0;
}
