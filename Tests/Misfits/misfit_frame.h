// What every misfit shares: a model that is right, as far as its misfit leaves it so.
#include "model_plugin.h"

#ifndef MISFIT_DESCRIPTION
#define MISFIT_DESCRIPTION "{\"threading\": \"concurrent\"}"
#endif
static const char *describe(void) { return MISFIT_DESCRIPTION; }

static inline model_instance *create(const model_create *arguments, model_writer *failure) {
    (void)failure;
    return (model_instance *)arguments->source;
}

static inline model_status predict(
    model_instance *instance, const model_call *call, model_writer *writer) {
    (void)instance;
    (void)call;
    writer->number(writer, 1);
    return MODEL_OK;
}

static void destroy(model_instance *instance) { (void)instance; }

#define TABLE(size, create_function, predict_function)                               \
    static const model_plugin plugin = {                                             \
        (size), MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0, describe, create_function,      \
        predict_function, 0, 0, destroy, 0};                                         \
    const model_plugin *model_plugin_entry(const model_host *host) {                 \
        (void)host;                                                                  \
        return &plugin;                                                              \
    }
