/* The log sink: lines `level stage key=value ...` on stderr. Prompts are never logged. Any thread.
 */
#ifndef FG_LOG_H
#define FG_LOG_H

enum fg_log_level { FG_LOG_ERROR, FG_LOG_WARN, FG_LOG_INFO, FG_LOG_DEBUG };

/* Lines above `level` are dropped. Default: FG_LOG_INFO. */
void fg_log_set_level(enum fg_log_level level);

/* One line; `stage` is the part that speaks (gpu, model, cache, api, flow); `fmt` gives
 * `key=value` pairs, without a newline. */
__attribute__((format(printf, 3, 4))) void fg_log(enum fg_log_level level, const char *stage,
                                                  const char *fmt, ...);

/* A bar on stderr where that is a terminal, rewritten at each call and ended at a share of 1;
 * elsewhere nothing. */
void fg_log_bar(const char *what, double share);

#endif
