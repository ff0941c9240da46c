/* The functions of the filters' table (filters.c), and what they share. */
#ifndef FG_JJ_FILTERS_H
#define FG_JJ_FILTERS_H

#include "function.h"

#define FG_JJ_FILTER(name)                                                                         \
    struct fg_jj_value fg_jj_filter_##name(struct fg_jj *j, struct fg_jj_value self,               \
                                           const struct fg_jj_args *args)

/* text (filter_text.c, filter_layout.c) */
FG_JJ_FILTER(capitalize);
FG_JJ_FILTER(center);
FG_JJ_FILTER(escape);
FG_JJ_FILTER(forceescape);
FG_JJ_FILTER(format);
FG_JJ_FILTER(indent);
FG_JJ_FILTER(lower);
FG_JJ_FILTER(replace);
FG_JJ_FILTER(safe);
FG_JJ_FILTER(string);
FG_JJ_FILTER(striptags);
FG_JJ_FILTER(title);
FG_JJ_FILTER(tojson);
FG_JJ_FILTER(trim);
FG_JJ_FILTER(truncate);
FG_JJ_FILTER(upper);
FG_JJ_FILTER(urlencode);
FG_JJ_FILTER(wordcount);
FG_JJ_FILTER(wordwrap);
FG_JJ_FILTER(xmlattr);
/* numbers (filter_number.c) */
FG_JJ_FILTER(abs);
FG_JJ_FILTER(float);
FG_JJ_FILTER(int);
FG_JJ_FILTER(round);
FG_JJ_FILTER(filesizeformat);
/* lists (filter_list.c, filter_sort.c) */
FG_JJ_FILTER(attr);
FG_JJ_FILTER(batch);
FG_JJ_FILTER(default);
FG_JJ_FILTER(dictsort);
FG_JJ_FILTER(first);
FG_JJ_FILTER(groupby);
FG_JJ_FILTER(items);
FG_JJ_FILTER(join);
FG_JJ_FILTER(last);
FG_JJ_FILTER(length);
FG_JJ_FILTER(list);
FG_JJ_FILTER(max);
FG_JJ_FILTER(min);
FG_JJ_FILTER(reverse);
FG_JJ_FILTER(slice);
FG_JJ_FILTER(sort);
FG_JJ_FILTER(sum);
FG_JJ_FILTER(unique);
/* picking (filter_pick.c) */
FG_JJ_FILTER(map);
FG_JJ_FILTER(reject);
FG_JJ_FILTER(rejectattr);
FG_JJ_FILTER(select);
FG_JJ_FILTER(selectattr);

/* The value that a path of attributes ("a.b.0", or an index) leads to from v; `path` missing or
 * none: v itself. fg_jj_path_or() goes on from `otherwise`, if given, where there is none. */
struct fg_jj_value fg_jj_path(struct fg_jj *j, struct fg_jj_value v, struct fg_jj_value path);
struct fg_jj_value fg_jj_path_or(struct fg_jj *j, struct fg_jj_value v, struct fg_jj_value path,
                                 struct fg_jj_value otherwise);

#endif
