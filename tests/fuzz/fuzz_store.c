/* A store's data file that somebody has changed: patches of a sound one, five bytes and more each
 * (place, length, bytes). It is refused, or opened, and then no payload is wrong. */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blob.h"
#include "cache/cache.h"
#include "cache/check.h"

enum { BLOCKS = 24, PAYLOAD = 700 };

static char dir[64], path[80];
static struct fg_key root, keys[BLOCKS];
static int32_t tokens[BLOCKS][FG_BLOCK_TOKENS];
static uint8_t *sound;
static size_t sound_bytes;

static struct fg_cache *open_store(void)
{
    struct fg_cache_options opt = {.dir = dir, .max_bytes = 1 << 20};
    struct fg_cache *c = NULL;
    struct fg_err err = {0};

    if (fg_cache_open(&opt, &c, &err))
        HOLDS(err.text[0] && !c);
    return c;
}

static void put(struct fg_cache *c, uint32_t i, bool is_state)
{
    uint8_t payload[PAYLOAD];
    struct fg_cache_put p = {.key = &keys[i], .tokens = tokens[i], .index = i, .seconds = 1};

    memset(payload, (int)(i * 2 + is_state), sizeof payload);
    p.parent = i % 8 ? &keys[i - 1] : &root;
    p.index = i % 8;
    p.is_state = is_state;
    p.at = FG_AT_SYSTEM_END;
    p.blob = fg_blob_copy_of(payload, sizeof payload);
    HOLDS(p.blob && fg_cache_put(c, &p) == 0);
    fg_blob_unref(p.blob);
}

static void clean(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", dir);
}

static void read_sound(void)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    HOLDS(fd >= 0 && fstat(fd, &st) == 0);
    sound_bytes = (size_t)st.st_size;
    sound = malloc(sound_bytes);
    HOLDS(sound && pread(fd, sound, sound_bytes, 0) == (ssize_t)sound_bytes);
    close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t id[16] = "fuzz";
    struct fg_cache *c;

    (void)argc;
    (void)argv;
    /* Memory, where there is some: the store syncs what it writes. */
    snprintf(dir, sizeof dir, "%s/fulgur-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    HOLDS(mkdtemp(dir));
    atexit(clean);
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    root = fg_key_root(id, id, "s", 1);
    c = open_store();
    HOLDS(c);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        for (int j = 0; j < FG_BLOCK_TOKENS; j++)
            tokens[i][j] = (int32_t)(i * 100) + j;
        keys[i] = fg_key_next(i % 8 ? &keys[i - 1] : &root, tokens[i]);
        put(c, i, false);
        if (i % 4 == 3)
            put(c, i, true);
        if (i % 8 == 7)
            fg_cache_flush(c);
    }
    fg_cache_close(c);
    read_sound();
    return 0;
}

/* Patches it; the pages are few, so that places near their starts are met often. */
static void damage(struct input *in)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t cut = sound_bytes, pages = sound_bytes / 4096;

    HOLDS(fd >= 0 && pwrite(fd, sound, sound_bytes, 0) == (ssize_t)sound_bytes);
    if (take(in, 1) == 1)
        cut = (size_t)(take(in, 3) % (sound_bytes + 1));
    while (in->n > 4) {
        size_t at = (size_t)(take(in, 2) % pages * 4096 + take(in, 2) % 4096), n;
        size_t most = (size_t)take(in, 1) % 32 + 1;
        const uint8_t *p = take_bytes(in, most, &n);

        n = at + n < sound_bytes ? n : sound_bytes - at;
        HOLDS(pwrite(fd, p, n, (off_t)at) == (ssize_t)n);
    }
    HOLDS(ftruncate(fd, (off_t)cut) == 0);
    close(fd);
}

static void check(void)
{
    struct fg_reach reach = {0};
    struct fg_err err = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    HOLDS(fd >= 0 && fstat(fd, &st) == 0);
    if (st.st_size) {
        (void)fg_check_file(fd, true, NULL, &err);
        if (fg_check_reach(fd, NULL, NULL, &reach, &err) == 0)
            free(reach.pages);
    }
    close(fd);
}

static void read_back(struct fg_cache *c)
{
    for (uint32_t i = 0; i < 2 * BLOCKS; i++) {
        struct fg_cache_fetch f = {.key = keys[i / 2], .is_state = i & 1, .bytes = PAYLOAD};
        uint8_t payload[PAYLOAD];
        struct fg_err err = {0};

        memcpy(f.tokens, tokens[i / 2], sizeof f.tokens);
        if (fg_cache_get(c, &f, &err)) {
            HOLDS(!f.blob);
            continue;
        }
        fg_blob_read(f.blob, 0, payload, PAYLOAD);
        for (int j = 0; j < PAYLOAD; j++)
            HOLDS(payload[j] == (uint8_t)i);
        fg_blob_unref(f.blob);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    struct fg_cache *c;

    damage(&in);
    check();
    c = open_store();
    if (c) {
        read_back(c);
        put(c, 0, false);
        fg_cache_flush(c);
        read_back(c);
        fg_cache_close(c);
    }
    return 0;
}
