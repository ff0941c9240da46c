#include "fulgur/version.h"

const char *fg_version(void)
{
    return FG_VERSION;
}
