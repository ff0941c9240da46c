/* FG_API marks what libfulgur exports; the library is built with -fvisibility=hidden. */
#ifndef FULGUR_EXPORT_H
#define FULGUR_EXPORT_H

#if defined(__GNUC__)
#define FG_API __attribute__((visibility("default")))
#else
#define FG_API
#endif

#endif
