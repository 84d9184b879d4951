// Writes to address 0 in create.
#include "../misfit_frame.h"
MODEL_PLUGIN_TAG
static model_instance *crash(const model_create *arguments, model_writer *failure) {
    *(volatile int *)0 = 1;
    return create(arguments, failure);
}
TABLE(sizeof(model_plugin), crash, predict)
