/* What a template wants: found out by rendering small conversations, and looking at what comes. */
#include <string.h>

#include "chat_program.h"

#define CONTENT "fulgur-probe-content"
#define TOOL "fulgur_probe_tool"
#define THOUGHT "fulgur-probe-thought"
#define KEY "fulgur_probe_key"
#define ARGUMENTS "{\"" KEY "\":\"v\"}"

#define STR(s) ((struct fg_str){(s), sizeof(s) - 1})

/* The text that comes; empty where the template does not take it. */
static int render(const struct fg_chat *c, const struct fg_chat_program *p,
                  const struct fg_chat_request *r, struct fg_jinja_result *out)
{
    struct fg_jinja_error error;
    int rc = fg_chat_run(c, p, r, out, &error);

    if (rc)
        *out = (struct fg_jinja_result){.text = "", .bytes = 0};
    return rc == FG_ENOMEM ? rc : 0;
}

static void finish(struct fg_jinja_result *r)
{
    if (r->memory)
        fg_jinja_result_finish(r);
}

/* Whether `needle` comes of it. */
static int comes(const struct fg_chat *c, const struct fg_chat_program *p,
                 const struct fg_chat_request *r, const char *needle)
{
    struct fg_jinja_result text;
    int rc = render(c, p, r, &text);

    if (rc == 0)
        rc = strstr(text.text, needle) != NULL;
    finish(&text);
    return rc;
}

static int probe_content(const struct fg_chat *c, struct fg_chat_program *p)
{
    const struct fg_chat_message m = {.role = STR("user"), .content = STR(CONTENT)};
    const struct fg_chat_request r = {
        .messages = &m, .n_messages = 1, .add_generation_prompt = true};
    int found = comes(c, p, &r, CONTENT);

    if (found)
        return found < 0 ? found : 0;
    p->wants.parts = true;
    found = comes(c, p, &r, CONTENT);
    p->wants.parts = found > 0;
    if (found == 0)
        p->doubt = "its chat template does not write what messages say";
    return found < 0 ? found : 0;
}

/* A template may refuse two users in a row; then it tells roles apart. */
static int probe_roles(const struct fg_chat *c, struct fg_chat_program *p)
{
    struct fg_chat_message m[] = {{.role = STR("user"), .content = STR(CONTENT)},
                                  {.role = STR("assistant"), .content = STR(CONTENT)}};
    const struct fg_chat_request r = {.messages = m, .n_messages = 2};
    struct fg_jinja_result apart, alike = {.text = ""};
    int rc = render(c, p, &r, &apart);

    m[1].role = STR("user");
    if (rc == 0)
        rc = render(c, p, &r, &alike);
    if (rc == 0 && !p->doubt && apart.bytes && apart.bytes == alike.bytes &&
        memcmp(apart.text, alike.text, apart.bytes) == 0)
        p->doubt = "its chat template writes an assistant's messages as it writes a user's: the "
                   "model cannot tell who said what";
    finish(&apart);
    finish(&alike);
    return rc;
}

static int probe_tools(const struct fg_chat *c, struct fg_chat_program *p,
                       const struct fg_chat_request *with_tools)
{
    struct fg_chat_request r = *with_tools;
    struct fg_jinja_result text;
    int rc;

    r.n_messages = 1;
    rc = render(c, p, &r, &text);
    if (rc)
        return rc;
    p->wants.tools = strstr(text.text, TOOL) != NULL;
    if (p->wants.tools)
        p->wants.form = fg_tool_form_of((struct fg_str){text.text, text.bytes});
    finish(&text);
    return 0;
}

/* A thought in an answer, or what an answer begins with; as far as it is written. */
static int probe_reasoning(const struct fg_chat *c, struct fg_chat_program *p)
{
    const struct fg_chat_message m[] = {{.role = STR("user"), .content = STR(CONTENT)},
                                        {.role = STR("assistant"),
                                         .content = STR(CONTENT),
                                         .extra = STR("{\"reasoning_content\": \"" THOUGHT "\"}")}};
    struct fg_chat_request r = {.messages = m, .add_generation_prompt = true};
    int rc = 0;

    for (r.n_messages = 1; rc == 0 && r.n_messages <= 2 && !p->wants.reasoning; r.n_messages++) {
        struct fg_jinja_result text;

        rc = render(c, p, &r, &text);
        if (rc == 0)
            p->wants.reasoning = fg_reasoning_form_of((struct fg_str){text.text, text.bytes});
        finish(&text);
    }
    return rc;
}

/* Text is preferred: then the arguments stay as the client wrote them. */
static int probe_calls(const struct fg_chat *c, struct fg_chat_program *p,
                       const struct fg_chat_request *with_tools)
{
    struct fg_jinja_result text;
    int rc;

    p->wants.calls = true;
    p->wants.objects = false;
    rc = render(c, p, with_tools, &text);
    if (rc)
        return rc;
    if (!strstr(text.text, ARGUMENTS)) {
        finish(&text);
        p->wants.objects = true;
        rc = render(c, p, with_tools, &text);
        if (rc)
            return rc;
        p->wants.calls = strstr(text.text, KEY) != NULL;
        p->wants.objects = p->wants.calls;
    }
    if (p->wants.calls && p->wants.form == FG_TOOLS_NONE)
        p->wants.form = fg_tool_form_of((struct fg_str){text.text, text.bytes});
    finish(&text);
    return 0;
}

int fg_chat_probe(const struct fg_chat *c, struct fg_chat_program *p)
{
    const struct fg_chat_message messages[] = {
        {.role = STR("user"), .content = STR(CONTENT)},
        {.role = STR("assistant"),
         .content = {"", 0},
         .extra = STR("{\"reasoning_content\": \"" THOUGHT "\"}"),
         .calls = STR("[{\"id\": \"call00000\", \"type\": \"function\", \"function\": {\"name\": "
                      "\"fulgur_probe_called\", \"arguments\": "
                      "\"{\\\"" KEY "\\\":\\\"v\\\"}\"}}]")},
        {.role = STR("tool"),
         .content = STR("ok"),
         .name = STR("fulgur_probe_called"),
         .extra = STR("{\"tool_call_id\": \"call00000\"}")},
    };
    struct fg_chat_request r = {
        .messages = messages,
        .n_messages = 3,
        .tools = STR("[{\"type\": \"function\", \"function\": {\"name\": \"" TOOL
                     "\", \"description\": \"d\", \"parameters\": {\"type\": \"object\", "
                     "\"properties\": {\"a\": {\"type\": \"string\", \"description\": \"d\"}}, "
                     "\"required\": [\"a\"]}}}]"),
    };
    int rc = probe_content(c, p);

    if (rc == 0)
        rc = probe_roles(c, p);
    if (rc == 0)
        rc = probe_reasoning(c, p);
    if (rc == 0)
        rc = probe_tools(c, p, &r);
    r.n_messages = 2;
    if (rc == 0)
        rc = probe_calls(c, p, &r);
    return rc;
}
