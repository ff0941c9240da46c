#include "base/utf8.h"

#include "fulgur/client.h"

size_t fg_client_utf8_span(const char *text, size_t bytes)
{
    return fg_utf8_valid(text, bytes);
}
