/* The functions of the filters' table (filters.c), and what they share. */
#ifndef JJ_FILTERS_H
#define JJ_FILTERS_H

#include "function.h"

#define JJ_FILTER(name)                                                                            \
    struct jj_value jj_filter_##name(struct jj *j, struct jj_value self, const struct jj_args *args)

/* text (filter_text.c, filter_layout.c) */
JJ_FILTER(capitalize);
JJ_FILTER(center);
JJ_FILTER(escape);
JJ_FILTER(forceescape);
JJ_FILTER(format);
JJ_FILTER(indent);
JJ_FILTER(lower);
JJ_FILTER(replace);
JJ_FILTER(safe);
JJ_FILTER(string);
JJ_FILTER(striptags);
JJ_FILTER(title);
JJ_FILTER(tojson);
JJ_FILTER(trim);
JJ_FILTER(truncate);
JJ_FILTER(upper);
JJ_FILTER(urlencode);
JJ_FILTER(wordcount);
JJ_FILTER(wordwrap);
JJ_FILTER(xmlattr);
/* numbers (filter_number.c) */
JJ_FILTER(abs);
JJ_FILTER(float);
JJ_FILTER(int);
JJ_FILTER(round);
JJ_FILTER(filesizeformat);
/* lists (filter_list.c, filter_sort.c) */
JJ_FILTER(attr);
JJ_FILTER(batch);
JJ_FILTER(default);
JJ_FILTER(dictsort);
JJ_FILTER(first);
JJ_FILTER(groupby);
JJ_FILTER(items);
JJ_FILTER(join);
JJ_FILTER(last);
JJ_FILTER(length);
JJ_FILTER(list);
JJ_FILTER(max);
JJ_FILTER(min);
JJ_FILTER(reverse);
JJ_FILTER(slice);
JJ_FILTER(sort);
JJ_FILTER(sum);
JJ_FILTER(unique);
/* picking (filter_pick.c) */
JJ_FILTER(map);
JJ_FILTER(reject);
JJ_FILTER(rejectattr);
JJ_FILTER(select);
JJ_FILTER(selectattr);

/* The value that a path of attributes ("a.b.0", or an index) leads to from v; `path` missing or
 * none: v itself. jj_path_or() goes on from `otherwise`, if given, where there is none. */
struct jj_value jj_path(struct jj *j, struct jj_value v, struct jj_value path);
struct jj_value jj_path_or(struct jj *j, struct jj_value v, struct jj_value path,
                           struct jj_value otherwise);

#endif
