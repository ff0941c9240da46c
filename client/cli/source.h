/* Where `fulgur pull` finds a model, and where it puts it. */
#ifndef FG_CLI_SOURCE_H
#define FG_CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "fulgur/error.h"

struct fg_cli_source {
    char *url;
    char *file; /* the name alone */
    bool hub;   /* OWNER/REPO:FILE, so that $HF_TOKEN goes with it */
};

/* `name`: an http or https URL, or OWNER/REPO:FILE of the model hub at `hub` (NULL: the public
 * one), of its branch, tag or commit `revision`. On success the source is the caller's to finish.
 * FG_EINVAL, FG_ENOMEM. */
int fg_cli_source_init(struct fg_cli_source *s, const char *name, const char *hub,
                       const char *revision, struct fg_err *err);
void fg_cli_source_finish(struct fg_cli_source *s);

/* Of how many files is the model that this name or path is one of (NAME-00001-of-00005.gguf, also
 * with a URL's query behind it)? 0: it is one file. *at: where its number's five digits are. */
int fg_cli_source_parts(const char *name, size_t *at);

/* $XDG_DATA_HOME/fulgur/models (~/.local/share without it), made with its parents; the caller frees
 * it. FG_ENOTFOUND (neither XDG_DATA_HOME nor HOME), codes of fg_make_dirs(). */
int fg_cli_models_dir(char **dir, struct fg_err *err);

#endif
