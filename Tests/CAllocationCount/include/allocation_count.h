// Counts the calling thread's heap allocations, by standing before the C library's allocator.
#ifndef ALLOCATION_COUNT_H
#define ALLOCATION_COUNT_H
#include <stdbool.h>
#include <stdint.h>

// How many allocations the calling thread has made; -1 where they cannot be counted (sanitizers
// stand in the same place).
int64_t allocation_count(void);

// Whether this build runs under ThreadSanitizer, whose own files a small limit of files breaks.
bool is_thread_sanitized(void);
#endif
