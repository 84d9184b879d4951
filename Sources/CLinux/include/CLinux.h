// The Linux calls that Swift's Glibc module does not show, as small functions.
//
// Why a shim: epoll, eventfd, signalfd, accept4, memfd_create and struct tcp_info are missing from
// the Glibc module, `log` has to come from the C library so that host and analyst agree, and Swift
// has no names for the processor's instructions.
// This header defines no _GNU_SOURCE and includes nothing that Glibc already covers: doing so gives
// clashing definitions. `shims.c` includes what it needs.
//
// Every function returns -1 and sets errno on failure, like the call that it wraps.
#ifndef SWITCHYARD_CLINUX_H
#define SWITCHYARD_CLINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "CLinuxWorker.h"

// One readiness notice of epoll: which bits, and the 64 bits given at registration.
typedef struct clinux_event {
    uint32_t bits;
    uint64_t data;
} clinux_event;

#define CLINUX_READABLE 0x001u
#define CLINUX_WRITABLE 0x004u
#define CLINUX_ERROR 0x008u
#define CLINUX_HANGUP 0x010u
#define CLINUX_PEER_CLOSED 0x2000u

int clinux_epoll_create(void);
int clinux_epoll_add(int epoll, int descriptor, uint32_t bits, uint64_t data);
int clinux_epoll_modify(int epoll, int descriptor, uint32_t bits, uint64_t data);
int clinux_epoll_remove(int epoll, int descriptor);
// Waits at most `milliseconds` (-1: for ever) and fills at most `capacity` events.
int clinux_epoll_wait(int epoll, clinux_event *events, int capacity, int milliseconds);

int clinux_eventfd(void);
int clinux_accept(int descriptor);
int clinux_memfd(const char *name);
// How many processors the calling thread may run on.
int clinux_processors(void);
// Takes note of the end of a child that is none of `known`; its number, or 0: there is none.
int clinux_reap_other(const int *known, int count);
// Whether a process is stopped: by a signal, or by a debugger.
bool clinux_is_stopped(int process);
int clinux_thread_number(void);
// Gives a part of a file's memory back to the system; it reads as zeros afterwards.
int clinux_punch_hole(int descriptor, long offset, long length);
// Writes to a pipe or a socket what can be written without waiting; nothing to anything else.
long clinux_try_write(int descriptor, const void *bytes, size_t count);

// A descriptor that becomes readable when one of `signals` is pending. Blocks them for the process.
int clinux_signalfd(const int *signals, int count);
// Takes one pending signal; 0 when there is none.
int clinux_signal_next(int descriptor);
// Names the calling thread (at most 15 bytes are kept).
void clinux_name_thread(const char *name);

// Gives freed memory of the heap back to the system.
void clinux_trim_heap(void);

// How the kernel shares a processor with the calling thread: `steps` of nice(2) behind others,
// which on Linux a thread has for itself, and, from Linux 6.12 on, the slice of time in nanoseconds
// that it asks for (0: the usual one). A thread with a short slice that wakes up does not wait for
// one with a long slice to use up its own.
int clinux_schedule(int steps, uint64_t slice);

// What the scheduler says of the calling thread; the descriptor may be read by any other too.
int clinux_open_schedule(void);
// Nanoseconds that its thread was ready to run and had no processor; 0 where the kernel does not
// say.
uint64_t clinux_schedule_delay(int descriptor);

// A TCP connection's own count of bytes, from which a successor derives what its predecessor had
// done (research/takeover.md, section 4). `consumed`: bytes that recv() has taken. `written`: bytes
// that send() has accepted. Fails with ENOTCONN where the sums would be ambiguous.
int clinux_tcp_counters(int descriptor, uint64_t *consumed, uint64_t *written);

// Text to double with the C locale, whatever locale a plugin may have set. The text needs no
// terminator; more than 1,000 bytes of it cost an allocation. Returns false when it is not wholly a
// number.
bool clinux_parse_double(const char *text, size_t length, double *number);

// The natural logarithm of the C library.
double clinux_log(double x);

// Four 32-bit words in a vector register; SIMD4<UInt32> in Swift.
typedef uint32_t clinux_words __attribute__((ext_vector_type(4)));

typedef struct clinux_sha256_state {
    clinux_words abcd, efgh;
} clinux_sha256_state;

// Whether this processor has instructions for SHA-256. Asks the processor, so ask once.
bool clinux_sha256_is_available(void);
// Hashes one block, sixteen words as numbers, with those instructions (FIPS 180-4, 6.2.2). May only
// be called where they are.
clinux_sha256_state clinux_sha256_compress(
    clinux_sha256_state state, clinux_words w0, clinux_words w4, clinux_words w8, clinux_words w12
);

// The user that a Unix socket's peer ran as when it connected; -1 when the kernel does not say.
int64_t clinux_peer_user(int socket);

// Lets every block of a MiB or more have a mapping of its own, which goes when the block is freed.
void clinux_map_large_blocks(void);

#endif
