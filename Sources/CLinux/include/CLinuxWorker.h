// What a worker process writes down while it lives, in memory that outlives it, so that others can
// tell what it died of and who was hit: one note for each thread that runs models' code, and one
// fault. A signal handler writes here, so this part is C, and calls nothing that may wait.
#ifndef SWITCHYARD_CLINUX_WORKER_H
#define SWITCHYARD_CLINUX_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLINUX_NOTE_REQUESTS 64
#define CLINUX_FAULT_FRAMES 64
#define CLINUX_FAULT_MAPS 131072

// What a thread does at the moment. Only its thread writes it, but for `written_off`.
typedef struct clinux_note {
    // What runs, as WorkerBoard.Activity numbers it; 0: nothing. Stored last at the beginning of a
    // call and first at its end, so that what is beside it belongs to it.
    uint32_t activity;
    // The thread's number; 0: nobody has the note.
    int32_t thread;
    // Counts the calls.
    uint64_t calls;
    // When the call began, in monotonic nanoseconds.
    uint64_t started;
    // Whose code it is: an entry of the table of models.
    uint32_t model;
    // How many requests it is about.
    uint32_t count;
    // The call that is given up: another thread does this one's work.
    uint64_t written_off;
    uint64_t reserved[3];
    // Whose requests: slot and key of each.
    uint32_t slots[CLINUX_NOTE_REQUESTS];
    uint64_t keys[CLINUX_NOTE_REQUESTS];
    uint8_t padding[192];
} clinux_note;

// Why a worker ends. The first one counts.
typedef struct clinux_fault {
    // 0: nothing has happened; 1: it is being written; 2: the facts are there; 3: the stack too.
    uint32_t stage;
    // What happened, as WorkerBoard.Fault.Kind numbers it.
    uint32_t kind;
    int32_t signal, code;
    int32_t thread, status;
    // The note of the thread, counted from 1; 0: it has none.
    uint32_t note, frame_count;
    uint64_t address, instruction, moment;
    uint64_t maps_length;
    uint64_t frames[CLINUX_FAULT_FRAMES];
    char maps[CLINUX_FAULT_MAPS];
} clinux_fault;

#define CLINUX_FAULT_SIGNAL 1u
#define CLINUX_FAULT_EXIT 2u
#define CLINUX_FAULT_HANG 3u

static inline const char *clinux_fault_maps(const clinux_fault *fault) { return fault->maps; }

// Begins and ends a call. Stores only; the compiler may not move them past each other.
static inline void clinux_note_begin(
    clinux_note *note, uint32_t activity, uint32_t model, uint64_t now
) {
    note->calls++;
    note->started = now;
    note->model = model;
    __atomic_store_n(&note->activity, activity, __ATOMIC_RELEASE);
}

static inline void clinux_note_end(clinux_note *note) {
    __atomic_store_n(&note->activity, 0u, __ATOMIC_RELEASE);
}

static inline uint32_t clinux_load(const uint32_t *place) {
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

// Raises a number that others raise too.
static inline void clinux_raise_long(uint64_t *place, uint64_t value) {
    uint64_t found = __atomic_load_n(place, __ATOMIC_RELAXED);
    while (found < value && !__atomic_compare_exchange_n(
                                place, &found, value, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED
                            )) {}
}
// Makes 0 one; false: it was something else.
static inline bool clinux_claim(uint32_t *place) {
    uint32_t nothing = 0;
    return __atomic_compare_exchange_n(
        place, &nothing, 1u, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED
    );
}
static inline void clinux_store_word(uint32_t *place, uint32_t value) {
    __atomic_store_n(place, value, __ATOMIC_RELEASE);
}
static inline uint64_t clinux_load_long(const uint64_t *place) {
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

static inline void clinux_store_long(uint64_t *place, uint64_t value) {
    __atomic_store_n(place, value, __ATOMIC_RELEASE);
}

// Sets a bit of a bitmap that several threads write.
static inline void clinux_set_bit(uint64_t *words, uint64_t index) {
    __atomic_fetch_or(&words[index / 64], 1ull << (index % 64), __ATOMIC_RELEASE);
}

// Takes all bits of a word.
static inline uint64_t clinux_take_bits(uint64_t *word) {
    if (__atomic_load_n(word, __ATOMIC_RELAXED) == 0) return 0;
    return __atomic_exchange_n(word, 0, __ATOMIC_ACQUIRE);
}

// Takes a free note for the calling thread; NULL: there is none.
clinux_note *clinux_note_take(clinux_note *notes, uint32_t count);
// Gives the calling thread's note back.
void clinux_note_give(void);

// From now on a fatal signal, and exit() inside a call, write `fault` before the process ends, and
// stop every thread that has one of the first `*used` notes: what has gone wrong in one may be
// in the memory of all. Called once, before the first thread that runs models' code.
void clinux_catch_faults(clinux_fault *fault, clinux_note *notes, const uint64_t *used);
// Gives the calling thread a stack for signal handlers, so that one that has used up its own can
// be told of; NULL where faults are not caught.
void *clinux_open_signal_stack(void);
void clinux_close_signal_stack(void *stack);

// A lock that says whether its holder lives. It lies in shared memory; the kernel lets go of it
// when the thread that holds it dies.
size_t clinux_lifeline_size(void);
int clinux_lifeline_make(void *place);
// Holds it until the calling thread ends.
int clinux_lifeline_hold(void *place);
// Waits until nobody holds it any more.
void clinux_lifeline_await(void *place);

// A descriptor that becomes readable when the process has ended.
int clinux_open_process(int process);
// Starts `path` with these arguments and this environment in a process of its own group, with
// `control` as its descriptor 3, standard streams as they are, and no signal blocked. Returns its
// number. `memory`: bytes of data at most (RLIMIT_DATA), 0: no limit.
int clinux_start_worker(
    const char *path, char *const *arguments, char *const *environment, int control,
    uint64_t memory
);
// How a process ended, as waitpid has it; -1: it has not. Does not wait.
int clinux_reap(int process, int *status);

// Two connected sockets that keep messages apart (SOCK_SEQPACKET), neither of which waits.
int clinux_message_pair(int numbers[2]);
// Sends a message with descriptors; never waits. Returns 0, or -1 with errno.
int clinux_send_message(
    int socket, const void *bytes, size_t length, const int *descriptors, size_t count
);
// Receives a message of at most `capacity` bytes and `*count` descriptors, all of which are closed
// on exec; never waits. Returns its length, 0 at the end, or -1 with errno. Where there is no room
// for the descriptors none of them comes.
long clinux_receive_message(
    int socket, void *bytes, size_t capacity, int *descriptors, size_t *count
);

// Lets go of the pages of code that are in memory: those that are needed again come back.
void clinux_forget_code(void);
// Leaves memory out of core dumps.
void clinux_leave_out_of_dumps(void *address, size_t length);
// Whether a core may be written when the process dies.
void clinux_allow_core_dumps(bool allowed);

#endif
