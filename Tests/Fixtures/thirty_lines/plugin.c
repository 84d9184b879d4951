// A complete model in C: the area of a rectangle.
#include "model_plugin.h"

MODEL_PLUGIN_TAG

static const char *describe(void) {
    return "{\"inputs\": [{\"name\": \"width\", \"type\": \"number\"},"
           " {\"name\": \"height\", \"type\": \"number\"}], \"threading\": \"concurrent\","
           " \"examples\": [{\"width\": 3, \"height\": 4}]}";
}

static model_instance *create(const model_create *arguments, model_writer *failure) {
    return failure ? (model_instance *)arguments->source : 0;  // it keeps nothing of its own
}

static model_status predict(model_instance *self, const model_call *call, model_writer *out) {
    (void)self;
    out->number(out, call->values[0].number * call->values[1].number);
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
