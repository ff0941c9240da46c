/* The heap of merges that are possible: rank << 32 | position, the least on top: the lowest rank,
 * leftmost on a tie. The caller's array has room for what is pushed. */
#ifndef FG_MERGE_HEAP_H
#define FG_MERGE_HEAP_H

#include <stddef.h>
#include <stdint.h>

static inline void fg_merge_heap_push(uint64_t *heap, size_t *n, uint64_t key)
{
    size_t at = (*n)++;

    while (at > 0 && heap[(at - 1) / 2] > key) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = key;
}

static inline uint64_t fg_merge_heap_pop(uint64_t *heap, size_t *n)
{
    uint64_t top = heap[0], last = heap[--*n];
    size_t at = 0, child = 1;

    while (child < *n) {
        child += child + 1 < *n && heap[child + 1] < heap[child];
        if (heap[child] >= last) {
            break;
        }
        heap[at] = heap[child];
        at = child;
        child = 2 * at + 1;
    }
    heap[at] = last;
    return top;
}

#endif
