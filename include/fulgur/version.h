/* The version of these headers, and of the library at run time. */
#ifndef FULGUR_VERSION_H
#define FULGUR_VERSION_H

#include "export.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FG_VERSION_MAJOR 0
#define FG_VERSION_MINOR 1
#define FG_VERSION_PATCH 0
#define FG_VERSION "0.1.0"

/* FG_VERSION as the library was built. Static storage; any thread. */
FG_API const char *fg_version(void);

#ifdef __cplusplus
}
#endif
#endif
