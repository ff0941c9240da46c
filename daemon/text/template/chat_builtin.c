/* Templates for files that carry none, in our own words. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "chat.h"
#include "jinja/jinja.h"

static const char chatml[] = "{%- for m in messages -%}\n"
                             "<|im_start|>{{ m.role }}\n"
                             "{{ m.content }}<|im_end|>{{ '\\n' }}\n"
                             "{%- endfor -%}\n"
                             "{%- if add_generation_prompt -%}\n"
                             "<|im_start|>assistant{{ '\\n' }}\n"
                             "{%- endif -%}\n";

static const char minimax_m1[] =
    "{%- set system = messages | selectattr('role', 'equalto', 'system')"
    " | map(attribute='content') | join -%}\n"
    "<begin_of_document>\n"
    "{%- if system %}<beginning_of_sentence>system ai_setting=assistant\n"
    "{{ system }}<end_of_sentence>{{ '\\n' }}{% endif -%}\n"
    "{%- if tools %}<beginning_of_sentence>system tool_setting=tools\n"
    "You are provided with these tools:\n"
    "<tools>\n"
    "{% for tool in tools %}{{ tool | tojson }}{{ '\\n' }}{% endfor %}"
    "</tools>\n"
    "\n"
    "If you need to call tools, please respond with <tool_calls></tool_calls> XML tags, and "
    "provide tool-name and json-object of arguments, following the format below:\n"
    "<tool_calls>\n"
    "{{ '{\"name\": <tool-name-1>, \"arguments\": <args-json-object-1>}' }}\n"
    "...\n"
    "</tool_calls><end_of_sentence>{{ '\\n' }}{% endif -%}\n"
    "{%- for m in messages if m.role != 'system' -%}\n"
    "{%- if m.role == 'user' %}<beginning_of_sentence>user name=user\n"
    "{{ m.content }}\n"
    "{%- elif m.role == 'assistant' %}<beginning_of_sentence>ai name=assistant\n"
    "{{ m.content }}\n"
    "{%- else %}<beginning_of_sentence>tool name=tools\n"
    "tool name: {{ m.name }}\n"
    "tool result: {{ m.content }}{{ '\\n\\n' }}\n"
    "{%- endif -%}\n"
    "<end_of_sentence>{{ '\\n' }}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n"
    "<beginning_of_sentence>ai name=assistant{{ '\\n' }}\n"
    "{%- endif -%}\n";

static int read_file(const char *path, struct fg_buffer *out, struct fg_err *err)
{
    char *bytes;
    size_t n;
    int rc = fg_file_read(path, FG_JINJA_MAX_TEMPLATE, &bytes, &n, err);

    if (rc)
        return rc;
    if (n == 0 || fg_utf8_valid(bytes, n) != n)
        rc = fg_fail(err, FG_EINVAL, "%s: a chat template is text in UTF-8, and not empty", path);
    else
        fg_buffer_add(out, bytes, n);
    free(bytes);
    return rc;
}

int fg_chat_template_read(const char *name_or_file, struct fg_buffer *out, struct fg_err *err)
{
    int rc = 0;

    fg_buffer_clear(out);
    if (strcmp(name_or_file, "chatml") == 0)
        fg_buffer_str(out, chatml);
    else if (strcmp(name_or_file, "minimax-m1") == 0)
        fg_buffer_str(out, minimax_m1);
    else
        rc = read_file(name_or_file, out, err);
    return rc == 0 && out->failed ? fg_fail(err, FG_ENOMEM, "no memory for a chat template") : rc;
}
