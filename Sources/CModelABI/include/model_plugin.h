// model_plugin.h: the contract between the Switchyard host and a model plugin.
//
// A plugin is a shared library that exports two symbols:
//   model_plugin_abi     constant data; the host reads it from the file before any code runs
//   model_plugin_entry   the function that swaps tables with the host
//
// Rules that hold everywhere
//   Strings are UTF-8, pointer plus length; they are not terminated unless a comment says so.
//   Memory belongs to the side that made it. Nothing crosses to be freed by the other side.
//   Tables begin with their size and only ever grow at the end. Read a field of the other side's
//   table only if its size covers the field. The host refuses a plugin whose major differs or
//   whose minor is newer than its own.
//   No C++ exception and no longjmp may leave a function of this contract.
//
// Contract tags
//   [load-thread]      one thread of the host; never at the same time as another [load-thread] call
//                      on the same plugin
//   [predict-thread]   any thread of the host. "concurrent" models: several at once on one
//                      instance. "serial" models: never two at once on one instance
//   [any-thread]       may be called from every thread, also from the plugin's own
//   required/optional  an optional function may be NULL
#ifndef MODEL_PLUGIN_H
#define MODEL_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_ABI_MAJOR 1u
#define MODEL_ABI_MINOR 0u
#define MODEL_ABI_MAGIC "MODELABI"

// ---------------------------------------------------------------------------------------- the tag

// Exported as `model_plugin_abi`: constant, without pointers, so that it can be read from the file.
typedef struct model_plugin_tag {
    char magic[8];       // MODEL_ABI_MAGIC without a terminator
    uint32_t size;       // sizeof(model_plugin_tag)
    uint32_t major;      // MODEL_ABI_MAJOR
    uint32_t minor;      // MODEL_ABI_MINOR
    uint32_t flags;      // 0
    char build[40];      // who built it: compiler and version, terminated, padded with zeros
} model_plugin_tag;

#define MODEL_TEXT_OF(x) #x
#define MODEL_TEXT(x) MODEL_TEXT_OF(x)
#if defined(__clang__)
#define MODEL_BUILD_TEXT "clang " MODEL_TEXT(__clang_major__) "." MODEL_TEXT(__clang_minor__)
#elif defined(__GNUC__)
#define MODEL_BUILD_TEXT "gcc " MODEL_TEXT(__GNUC__) "." MODEL_TEXT(__GNUC_MINOR__)
#else
#define MODEL_BUILD_TEXT "unknown compiler"
#endif

#define MODEL_EXPORT __attribute__((visibility("default")))

// Write this once in one file of a C or C++ plugin. SwiftPM plugins link the target CModelTag.
#define MODEL_PLUGIN_TAG                                                                   \
    MODEL_EXPORT extern const model_plugin_tag model_plugin_abi;                          \
    __attribute__((used)) const model_plugin_tag model_plugin_abi = {                     \
        {'M', 'O', 'D', 'E', 'L', 'A', 'B', 'I'}, sizeof(model_plugin_tag),               \
        MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0, MODEL_BUILD_TEXT};

// --------------------------------------------------------------------------------------- statuses

// How a row ended. Anything else that a plugin returns counts as MODEL_INTERNAL.
typedef enum model_status {
    MODEL_OK = 0,
    MODEL_INVALID_INPUT = 1,  // this input cannot be scored; sending it again will not help
    MODEL_UNAVAILABLE = 2,    // something that the model needs is missing at the moment
    MODEL_DEADLINE = 3,       // the model gave up because deadline_ns had passed
    MODEL_CANCELLED = 4,      // the model gave up because cancelled() was true
    MODEL_UNSUPPORTED = 5,    // the model does not do what was asked
    MODEL_INTERNAL = 6        // the model failed
} model_status;

typedef enum model_log_level {
    MODEL_LOG_DEBUG = 0,
    MODEL_LOG_INFO = 1,
    MODEL_LOG_WARNING = 2,
    MODEL_LOG_ERROR = 3
} model_log_level;

// ----------------------------------------------------------------------------------------- a call

typedef enum model_value_kind {
    MODEL_ABSENT = 0,   // an optional input that the request does not have
    MODEL_NULL = 1,
    MODEL_BOOLEAN = 2,  // number is 0 or 1
    MODEL_NUMBER = 3,   // number holds it; text is the exact token of the request
    MODEL_STRING = 4,   // text is the decoded string, without quotes and escapes
    MODEL_JSON = 5      // text is the JSON text of an array, an object or an undeclared argument
} model_value_kind;

// One input. With declared inputs: one per declaration, in declared order, already checked against
// the declared type. Without: one per argument, always MODEL_JSON.
typedef struct model_value {
    uint32_t kind;      // a model_value_kind
    uint32_t reserved;  // 0
    double number;
    const char *text;   // owner: host; valid until predict returns; not terminated
    size_t length;
} model_value;

typedef struct model_call model_call;
struct model_call {
    uint32_t size;                // sizeof(model_call) of the host
    uint32_t value_count;
    const model_value *values;    // owner: host; valid until predict returns
    const char *request_id;       // owner: host; valid until predict returns
    size_t request_id_length;
    uint64_t deadline_ns;         // CLOCK_MONOTONIC nanoseconds; 0: none
    // [any-thread] True once nobody waits for this answer any more.
    bool (*cancelled)(const model_call *call);
};

// Where one row's result goes. Exactly one successful number(), json() or commit() per row that
// returns MODEL_OK; a second one makes the row fail.
typedef struct model_writer model_writer;
struct model_writer {
    uint32_t size;      // sizeof(model_writer) of the host
    uint32_t reserved;  // 0
    void *host;         // the host's own
    // A finite number. False: not finite, or the row has its result already.
    bool (*number)(model_writer *writer, double number);
    // A whole JSON value; the host copies and checks it. False: the row has its result already.
    bool (*json)(model_writer *writer, const char *text, size_t length);
    // Space for a JSON value of at most `capacity` bytes, to be filled in place and committed with
    // its real length. Valid until the next call on this writer. NULL: no memory.
    char *(*reserve)(model_writer *writer, size_t capacity);
    bool (*commit)(model_writer *writer, size_t length);
    // The sentence that goes with a status other than MODEL_OK; the host copies it.
    void (*message)(model_writer *writer, const char *text, size_t length);
};

// ----------------------------------------------------------------------------------------- tables

typedef struct model_host model_host;
struct model_host {
    uint32_t size;   // sizeof(model_host) of the host
    uint32_t major;  // MODEL_ABI_MAJOR of the host
    uint32_t minor;  // MODEL_ABI_MINOR of the host
    uint32_t reserved;
    const char *name;     // terminated: "switchyard"
    const char *version;  // terminated
    // [any-thread] One line for the host's event log. `source` is model_create.source, or NULL.
    void (*log)(const void *source, model_log_level level, const char *text, size_t length);
    // [any-thread] A further host service by name ("…/1"), or NULL where the host has none.
    const void *(*extension)(const char *id);
};

// What an instance is made from.
typedef struct model_create {
    uint32_t size;               // sizeof(model_create) of the host
    uint32_t version;            // the number of this version
    const char *name;            // terminated; the deployment's name
    const char *settings;        // JSON, "{}" when there are none
    size_t settings_length;
    const char *resources;       // terminated; folder of this version's resources, "" when none
    const void *source;          // pass it to model_host.log; valid until destroy returns
} model_create;

typedef struct model_instance model_instance;  // the plugin's own

typedef struct model_plugin {
    uint32_t size;   // sizeof(model_plugin) of the plugin
    uint32_t major;  // MODEL_ABI_MAJOR that the plugin was built with
    uint32_t minor;  // MODEL_ABI_MINOR that the plugin was built with
    uint32_t reserved;
    // required [load-thread] JSON, terminated, owner: plugin, valid for ever:
    //   {"inputs": [{"name": "price", "type": "number", "required": true, "doc": "…"}, …],
    //    "output": {"type": "number", "doc": "…"}, "examples": [{…}, …],
    //    "threading": "concurrent" | "serial", "execution": "inline" | "pool"}
    // Types: number, string, boolean, json. No "inputs": one MODEL_JSON value per argument.
    // Defaults: threading "serial", execution "inline".
    const char *(*describe)(void);
    // required [load-thread] A new instance, or NULL after message() on `failure`.
    model_instance *(*create)(const model_create *arguments, model_writer *failure);
    // required [predict-thread] May be run again for the same request after a crash of a neighbour.
    model_status (*predict)(model_instance *instance, const model_call *call, model_writer *writer);
    // optional [predict-thread] Like predict for `count` rows; one writer and one status per row.
    void (*predict_batch)(model_instance *instance, const model_call *const *calls,
                          model_writer *const *writers, model_status *statuses, size_t count);
    // optional [load-thread] MODEL_OK while the instance can answer.
    model_status (*health)(model_instance *instance, model_writer *failure);
    // required [load-thread] After the last predict has returned. Join your own threads first.
    void (*destroy)(model_instance *instance);
    // optional [any-thread] A further service of the plugin by name ("…/1"), or NULL.
    const void *(*extension)(const char *id);
} model_plugin;

// -------------------------------------------------------------------------------- model.tensors/1

// What model_plugin.extension(MODEL_TENSORS) returns for a model that takes tensors as they are:
// the host then writes no JSON for requests that come with tensors. `predict` is still what answers
// all other requests.
#define MODEL_TENSORS "model.tensors/1"

typedef enum model_datatype {
    MODEL_BOOL = 1,  // one byte, 0 or 1
    MODEL_UINT8, MODEL_UINT16, MODEL_UINT32, MODEL_UINT64,
    MODEL_INT8, MODEL_INT16, MODEL_INT32, MODEL_INT64,
    MODEL_FP16, MODEL_BF16, MODEL_FP32, MODEL_FP64,
    MODEL_BYTES      // each element: its length in four bytes, then that many bytes
} model_datatype;

// One input: little-endian, row-major, checked against its declaration.
typedef struct model_tensor {
    const char *name;      // owner: host, as all below; valid until predict returns
    size_t name_length;
    uint32_t datatype;     // a model_datatype
    uint32_t rank;         // how many sizes `shape` has
    const int64_t *shape;
    const void *data;      // aligned to 16 bytes; may be NULL where there are none
    size_t bytes;
} model_tensor;

// Where the outputs go: one successful output() for each that is declared.
typedef struct model_tensor_writer model_tensor_writer;
struct model_tensor_writer {
    uint32_t size;      // sizeof(model_tensor_writer) of the host
    uint32_t reserved;  // 0
    void *host;         // the host's own
    // Space for `bytes` bytes of an output, aligned to 16, to be filled before predict returns.
    // The host copies name and shape. NULL: no memory, or more than 64 MiB in all.
    void *(*output)(model_tensor_writer *writer, const char *name, size_t name_length,
                    uint32_t datatype, const int64_t *shape, uint32_t rank, size_t bytes);
    // The sentence that goes with a status other than MODEL_OK; the host copies it.
    void (*message)(model_tensor_writer *writer, const char *text, size_t length);
};

typedef struct model_tensors {
    uint32_t size;      // sizeof(model_tensors) of the plugin
    uint32_t reserved;  // 0
    // required [load-thread] JSON, terminated, owner: plugin, valid for ever; -1 is any size:
    //   {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}, …], "outputs": [ … ]}
    const char *(*describe)(void);
    // required [predict-thread] `inputs` in declared order; the call has no values.
    model_status (*predict)(model_instance *instance, const model_call *call,
                            const model_tensor *inputs, size_t count, model_tensor_writer *writer);
} model_tensors;

// required [load-thread] Called once per process, before anything else. Returns the plugin's table
// (owner: plugin, valid for ever), or NULL after a log line when this host will not do.
MODEL_EXPORT const model_plugin *model_plugin_entry(const model_host *host);

#ifdef __cplusplus
}
#endif
#endif
