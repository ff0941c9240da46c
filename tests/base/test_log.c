/* The log: whoever logs never waits for who reads, and what is lost is counted where it was lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/dir.h"

enum {
    TIME_BYTES = 30, /* ` time=` and 2026-01-31T23:59:59.999Z */
    MANY = 10000,    /* lines: four times what the queue and a pipe hold */
    THREADS = 4,
};

/* Descriptor 2 is a pipe's end for as long as a test lasts. */
struct reading {
    int kept, from;
    pthread_t thread;
    char *text;
    size_t n;
};

static void redirect(struct reading *r)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    r->from = ends[0];
    r->kept = dup(STDERR_FILENO);
    r->text = calloc(1, 4 << 20);
    r->n = 0;
    assert_non_null(r->text);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
}

static void *read_all(void *ctx)
{
    struct reading *r = ctx;
    ssize_t n;

    while ((n = read(r->from, r->text + r->n, (4 << 20) - 1 - r->n)) > 0)
        r->n += (size_t)n;
    return NULL;
}

static void begin_reading(struct reading *r)
{
    assert_int_equal(pthread_create(&r->thread, NULL, read_all, r), 0);
}

static void restore(struct reading *r)
{
    dup2(r->kept, STDERR_FILENO);
    close(r->kept);
}

static void end_reading(struct reading *r)
{
    restore(r);
    pthread_join(r->thread, NULL);
    close(r->from);
}

/* The line, which ends with its time, and that is now. */
static const char *timed(const char *line)
{
    const char *newline = strchr(line, '\n'), *end = newline ? newline : line + strlen(line);
    struct tm tm = {0};
    int ms = -1, n = 0;
    time_t then;

    assert_true(end - line > TIME_BYTES);
    assert_int_equal(sscanf(end - TIME_BYTES, " time=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &tm.tm_year,
                            &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &n),
                     7);
    assert_int_equal(n, TIME_BYTES);
    tm.tm_year -= 1900;
    tm.tm_mon--;
    then = timegm(&tm);
    assert_true(then <= time(NULL) && then > time(NULL) - 600);
    return line;
}

/* Reads lines `info test from=F n=N`, and the notes between them: what each thread wrote comes in
 * order. Returns how many lines were there, and in *dropped how many are said not to be. */
static unsigned count(char *text, unsigned long *dropped, int last[THREADS])
{
    unsigned lines = 0;

    *dropped = 0;
    for (int i = 0; i < THREADS; i++)
        last[i] = -1;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned long gap;
        int from, n;

        if (sscanf(timed(line), "warn log dropped=%lu", &gap) == 1) {
            *dropped += gap;
            continue;
        }
        assert_int_equal(sscanf(timed(line), "info test from=%d n=%d", &from, &n), 2);
        assert_in_range(from, 0, THREADS - 1);
        assert_true(n > last[from]);
        last[from] = n;
        lines++;
    }
    return lines;
}

/* One thread's lines: a note says how many are missing just there. */
static void assert_gaps(const char *text)
{
    unsigned long next = 0, gap, n;

    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
        if (sscanf(timed(line), "warn log dropped=%lu", &gap) == 1) {
            assert_true(gap > 0);
            next += gap;
        } else {
            assert_int_equal(sscanf(timed(line), "info test from=0 n=%lu", &n), 1);
            assert_int_equal(n, next++);
        }
}

static void log_lines(int from, int begin, int n)
{
    for (int i = begin; i < begin + n; i++)
        fg_log(FG_LOG_INFO, "test",
               "from=%d n=%d a line of about a hundred bytes ..............."
               "............................",
               from, i);
}

/* Before the start a line is there when fg_log() returns, and stays one line. */
static void test_without_a_thread(void **state)
{
    struct reading r;
    char long_text[2000], *end;

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    redirect(&r);
    fg_log_set_level(FG_LOG_WARN);
    fg_log(FG_LOG_INFO, "test", "left out");
    fg_log_set_level(FG_LOG_INFO);
    fg_log(FG_LOG_WARN, "test", "name=\"a\nb\"");
    fg_log_say("fulgurd", "%s: gone", "the\tfile");
    r.n = (size_t)read(r.from, r.text, 1000);
    end = strchr(timed(r.text), '\n');
    assert_string_equal(end, "\nfulgurd: the file: gone\n");
    end[-TIME_BYTES] = '\0';
    assert_string_equal(r.text, "warn test name=\"a b\"");
    fg_log(FG_LOG_ERROR, "test", "%s", long_text);
    memset(r.text, 0, 1000);
    r.n = (size_t)read(r.from, r.text, 4000);
    assert_in_range(r.n, 1000, 1100);
    assert_int_equal(r.text[r.n - 1], '\n');
    timed(r.text);
    restore(&r);
    close(r.from);
    free(r.text);
}

/* Nobody reads: whoever logs goes on; when somebody does, the gap is told in its place. */
static void test_a_full_pipe(void **state)
{
    struct reading r;
    unsigned long dropped;
    unsigned lines;
    int last[THREADS];

    (void)state;
    redirect(&r);
    assert_int_equal(fg_log_start(), 0);
    log_lines(0, 0, MANY);
    begin_reading(&r);
    fg_log_stop();
    end_reading(&r);
    assert_gaps(r.text);
    lines = count(r.text, &dropped, last);
    assert_in_range(lines, 1000, MANY - 1000);
    assert_int_equal(lines + dropped, MANY);
    free(r.text);
}

/* A line that comes after a gap is told after it. */
static void test_lines_after_a_gap(void **state)
{
    struct reading r;
    unsigned long dropped;
    unsigned lines;
    int last[THREADS];
    char text[8192];

    (void)state;
    redirect(&r);
    assert_int_equal(fg_log_start(), 0);
    log_lines(0, 0, MANY);
    /* Room for some lines: the pipe's and two batches of the queue are read. */
    for (size_t n = 0; n < 4 * 4096;) {
        ssize_t got = read(r.from, text, sizeof text);

        assert_true(got > 0);
        memcpy(r.text + n, text, (size_t)got);
        n += (size_t)got;
        r.n = n;
    }
    log_lines(0, MANY, 10);
    begin_reading(&r);
    fg_log_stop();
    end_reading(&r);
    assert_gaps(r.text);
    lines = count(r.text, &dropped, last);
    assert_int_equal(last[0], MANY + 9);
    assert_int_equal(lines + dropped, MANY + 10);
    free(r.text);
}

/* The reader never reads: stopping ends all the same, and the log can be begun anew. */
static void test_stop_without_a_reader(void **state)
{
    struct reading r;
    unsigned long dropped;
    int last[THREADS];

    (void)state;
    redirect(&r);
    assert_int_equal(fg_log_start(), 0);
    log_lines(0, 0, MANY);
    fg_log_stop();
    log_lines(0, MANY, 10); /* discarded, and waits for nobody */
    assert_int_equal(fg_log_start(), 0);
    begin_reading(&r);
    fg_log_stop();
    end_reading(&r);
    assert_true(count(r.text, &dropped, last) > 1000);
    assert_true(last[0] < MANY);
    free(r.text);
}

/* The reader is gone: nothing waits, and the writer ends. */
static void test_a_reader_that_is_gone(void **state)
{
    struct reading r;

    (void)state;
    redirect(&r);
    assert_int_equal(fg_log_start(), 0);
    log_lines(0, 0, 10);
    close(r.from);
    log_lines(0, 10, MANY);
    fg_log_stop();
    restore(&r);
    free(r.text);
}

static void *log_from(void *ctx)
{
    log_lines((int)(intptr_t)ctx, 0, MANY);
    return NULL;
}

static void test_many_threads(void **state)
{
    pthread_t threads[THREADS];
    struct reading r;
    unsigned long dropped;
    unsigned lines;
    int last[THREADS];

    (void)state;
    redirect(&r);
    assert_int_equal(fg_log_start(), 0);
    begin_reading(&r);
    for (intptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_from, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    fg_log_stop();
    end_reading(&r);
    lines = count(r.text, &dropped, last);
    assert_int_equal(lines + dropped, THREADS * MANY);
    free(r.text);
}

/* --- 2>&- --- */

static char *program;

/* The program again with descriptor 2 closed: the file that it opens gets that number. */
static void test_a_closed_descriptor(void **state)
{
    char *dir = dir_make(), path[4096], byte;
    int fd, status;
    pid_t pid;

    (void)state;
    snprintf(path, sizeof path, "%s/log", dir);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        execl("/proc/self/exe", program, "closed", path, (char *)NULL);
        _exit(9);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(pread(fd, &byte, 1, 0), 0);
    close(fd);
    dir_remove(dir);
}

static int with_descriptor_closed(const char *path)
{
    if (open(path, O_RDWR) != STDERR_FILENO)
        return 1;
    fg_log(FG_LOG_ERROR, "test", "into=file");
    fg_log_say("test", "into a file");
    if (fg_log_start() != 0)
        return 2;
    fg_log(FG_LOG_ERROR, "test", "into=file");
    fg_log_stop();
    return 0;
}

/* What a client wrote cannot end a quoted value or begin a line. */
static void test_quoted_text(void **state)
{
    char out[FG_LOG_TEXT], longer[2 * FG_LOG_TEXT];

    (void)state;
    assert_string_equal(fg_log_text(out, "a\" level=x\nerror \\ \xc3\xa9\x7f\x1b["),
                        "a\\x22 level=x\\x0aerror \\x5c \\xc3\\xa9\\x7f\\x1b[");
    memset(longer, '"', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_true(strlen(fg_log_text(out, longer)) < FG_LOG_TEXT);
    assert_int_equal(strlen(out) % 4, 0); /* none is cut in its middle */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_thread),      cmocka_unit_test(test_a_full_pipe),
        cmocka_unit_test(test_lines_after_a_gap),     cmocka_unit_test(test_stop_without_a_reader),
        cmocka_unit_test(test_a_reader_that_is_gone), cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_a_closed_descriptor),   cmocka_unit_test(test_quoted_text),
    };

    program = argv[0];
    if (argc == 3 && strcmp(argv[1], "closed") == 0)
        return with_descriptor_closed(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
