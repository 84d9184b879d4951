// Has no predict.
#include "../misfit_frame.h"
MODEL_PLUGIN_TAG
TABLE(sizeof(model_plugin), create, 0)
