// Dies in create of what a Swift trap dies of.
#include "../misfit_frame.h"
#include <signal.h>
MODEL_PLUGIN_TAG
static model_instance *crash(const model_create *arguments, model_writer *failure) {
    raise(SIGILL);
    return create(arguments, failure);
}
TABLE(sizeof(model_plugin), crash, predict)
