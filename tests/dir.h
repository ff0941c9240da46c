/* A folder of a test's own, below $TMPDIR or else /tmp. What fails ends the program. */
#ifndef TESTS_DIR_H
#define TESTS_DIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A new one; the name is the caller's, for dir_remove(). */
static inline char *dir_make(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[4096];
    char *dir;

    snprintf(path, sizeof path, "%s/fulgur-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(path) || !(dir = strdup(path))) {
        perror(path);
        abort();
    }
    return dir;
}

static inline int dir_remove_entry(const char *path, const struct stat *st, int type,
                                   struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

/* Removes a folder, if there is one, with all that is in it. */
static inline void dir_clear(const char *dir)
{
    nftw(dir, dir_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The same, and frees its name; NULL is taken. */
static inline void dir_remove(char *dir)
{
    if (dir)
        dir_clear(dir);
    free(dir);
}

#endif
