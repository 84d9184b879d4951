// Says nothing of threads, which means that it wants one at a time.
#define MISFIT_DESCRIPTION "{}"
#include "../misfit_frame.h"
MODEL_PLUGIN_TAG
TABLE(sizeof(model_plugin), create, predict)
