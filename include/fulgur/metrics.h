/* The one table of what the daemon counts. A row is X(name, unit, who, help) and is all that a
 * counter takes: the daemon's struct and its JSON, the client's struct, what the command prints and
 * the table in docs/api.md (a test compares it) are made from it.
 *
 * unit: COUNT or BYTES; who: OWNER (who runs the daemon sees it: it depends on what all tenants do)
 * or ALL; help: one line of docs, in Markdown. */
#ifndef FULGUR_METRICS_H
#define FULGUR_METRICS_H

#include <stdint.h>

/* GET /v1/fulgur/cache. */
#define FG_CACHE_METRICS(X)                                                                        \
    X(blocks, COUNT, OWNER, "KV blocks of 64 tokens that are stored")                              \
    X(states, COUNT, OWNER, "Lightning-attention states that are stored")                          \
    X(documents, COUNT, OWNER, "Texts of calls and responses that are stored")                     \
    X(block_bytes, BYTES, OWNER, "Contents of the blocks")                                         \
    X(state_bytes, BYTES, OWNER, "Contents of the states")                                         \
    X(document_bytes, BYTES, OWNER, "Contents of the documents")                                   \
    X(file_bytes, BYTES, OWNER, "The data file")                                                   \
    X(max_bytes, BYTES, ALL, "What the data file may grow to")                                     \
    X(queued_bytes, BYTES, OWNER, "Waiting to be written, or being written")                       \
    X(hits_blocks, COUNT, OWNER, "Blocks that were read, since the start")                         \
    X(hits_states, COUNT, OWNER, "States that were read, since the start")                         \
    X(hits_documents, COUNT, OWNER, "Documents that were read, since the start")                   \
    X(bytes_written, BYTES, OWNER, "Written, since the start")                                     \
    X(evicted, COUNT, OWNER, "Records removed to keep within `max_bytes`")                         \
    X(dropped_corrupt, COUNT, OWNER,                                                               \
      "Records whose checksum or tokens did not hold: read as misses")                             \
    X(bad_prefixes, COUNT, OWNER,                                                                  \
      "Restored prefixes that the model computed no finite values from: dropped")                  \
    X(dropped_full, COUNT, OWNER, "Records not written: no room on the disk or in `max_bytes`")    \
    X(dropped_queue, COUNT, OWNER, "Records not written: no room in the queue")                    \
    X(dropped_orphan, COUNT, OWNER, "Records not written: what they continue is not stored")       \
    X(dropped_budget, COUNT, OWNER, "Records not written: over `--cache-write-budget`")            \
    X(write_errors, COUNT, OWNER, "Batches that failed")

/* A struct's members: `struct s { FG_CACHE_METRICS(FG_METRIC_MEMBER) };` */
#define FG_METRIC_MEMBER(name, unit, who, help) uint64_t name;

enum fg_metric_unit { FG_METRIC_COUNT, FG_METRIC_BYTES };
enum fg_metric_who { FG_METRIC_OWNER, FG_METRIC_ALL };

/* A row as data; `value` is where a struct of them has it, and NULL where only the row is meant. */
struct fg_metric {
    const char *name, *help;
    enum fg_metric_unit unit;
    enum fg_metric_who who;
    const uint64_t *value;
};

#endif
