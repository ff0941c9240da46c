/* The log sink: lines `time level stage key=value ...` on descriptor 2; the time is in UTC, like
 * 2026-01-31T23:59:59.999Z. Prompts are never logged. Any
 * thread.
 *
 * Before fg_log_start() (tools, tests, the first lines of the daemon) a line is written by whoever
 * logs it, and waits for its reader. From then on a line is copied into a queue of a fixed size
 * and a thread of the log's own writes it: nobody who logs ever waits for the reader. What does not
 * fit is counted and said in its place, as `warn log dropped=N`, once there is room.
 *
 * A process that was started with descriptor 2 closed logs nothing: whatever is opened first would
 * get that number. */
#ifndef FG_LOG_H
#define FG_LOG_H

enum fg_log_level { FG_LOG_ERROR, FG_LOG_WARN, FG_LOG_INFO, FG_LOG_DEBUG };

/* How long fg_log_stop() waits for the reader at most, in milliseconds. */
enum { FG_LOG_STOP_MS = 2000 };

/* Lines above `level` are dropped. Default: FG_LOG_INFO. */
void fg_log_set_level(enum fg_log_level level);

/* Starts the thread that writes. 0 or FG_ENOMEM; the log then goes on without a thread. One thread
 * of the process starts and stops the log. */
int fg_log_start(void);
/* Writes what is queued, waiting FG_LOG_STOP_MS at most, and ends the thread. Where the reader did
 * not take it in that time, the rest is left unwritten and later lines are discarded: the process
 * can exit. Otherwise the log is as before fg_log_start(). Without a start nothing. */
void fg_log_stop(void);

/* One line; `stage` is the part that speaks (gpu, model, cache, api, flow); `fmt` gives
 * `key=value` pairs, without a newline; the last is the time. What is longer than about 1,000 bytes
 * is cut before it. */
__attribute__((format(printf, 3, 4))) void fg_log(enum fg_log_level level, const char *stage,
                                                  const char *fmt, ...);
/* A line `audit stage ...`, at any level: who asked for what, with which result. */
__attribute__((format(printf, 2, 3))) void fg_log_audit(const char *stage, const char *fmt, ...);

enum { FG_LOG_TEXT = 600 };
/* Text that a client or a file gave, as it may stand between quotes in a line: `"`, `\\` and bytes
 * that are not printable ASCII as \\xHH, cut at the buffer's end. Returns `out`. */
const char *fg_log_text(char out[FG_LOG_TEXT], const char *text);

/* The line `who: text`, at any level: a program's last words, in its own name. */
__attribute__((format(printf, 2, 3))) void fg_log_say(const char *who, const char *fmt, ...);

/* A bar on stderr where that is a terminal, rewritten at each call and ended at a share of 1;
 * elsewhere nothing. */
void fg_log_bar(const char *what, double share);

#endif
