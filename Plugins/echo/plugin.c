// Answers with its arguments as a list, to the letter: what did the host make of my request?
#include <string.h>

#include "model_plugin.h"

MODEL_PLUGIN_TAG

// Without "inputs" the host passes each argument on as its JSON text.
static const char *describe(void) {
    return "{\"output\": {\"type\": \"json\"}, \"doc\": \"Its arguments, as a list.\","
           " \"examples\": [{\"price\": 1.50}, [1, \"two\", null]],"
           " \"threading\": \"concurrent\", \"execution\": \"inline\"}";
}

static model_instance *create(const model_create *arguments, model_writer *failure) {
    (void)arguments, (void)failure;
    static char instance;  // there has to be one; nothing is kept in it
    return (model_instance *)&instance;
}

static model_status predict(model_instance *self, const model_call *call, model_writer *out) {
    (void)self;
    size_t capacity = 2;
    for (uint32_t i = 0; i < call->value_count; i++) capacity += call->values[i].length + 1;
    char *json = out->reserve(out, capacity);
    if (!json) return MODEL_INTERNAL;

    size_t length = 0;
    json[length++] = '[';
    for (uint32_t i = 0; i < call->value_count; i++) {
        if (i > 0) json[length++] = ',';
        memcpy(json + length, call->values[i].text, call->values[i].length);
        length += call->values[i].length;
    }
    json[length++] = ']';
    out->commit(out, length);
    return MODEL_OK;
}

static void destroy(model_instance *self) { (void)self; }

static const model_plugin plugin = {
    sizeof(model_plugin), MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0,
    describe, create, predict, 0, 0, destroy, 0};

const model_plugin *model_plugin_entry(const model_host *host) {
    (void)host;
    return &plugin;
}
