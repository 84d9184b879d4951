// Dies of its own example.
#define MISFIT_DESCRIPTION "{\"threading\": \"concurrent\", \"examples\": [1]}"
#include "../misfit_frame.h"
#include <stdlib.h>
MODEL_PLUGIN_TAG
static model_status crash(
    model_instance *instance, const model_call *call, model_writer *writer) {
    abort();
    return predict(instance, call, writer);
}
TABLE(sizeof(model_plugin), create, crash)
