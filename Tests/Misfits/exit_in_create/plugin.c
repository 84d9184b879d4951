// Ends the process in create, as if all were well.
#include "../misfit_frame.h"
#include <stdlib.h>
MODEL_PLUGIN_TAG
static model_instance *leave(const model_create *arguments, model_writer *failure) {
    exit(0);
    return create(arguments, failure);
}
TABLE(sizeof(model_plugin), leave, predict)
