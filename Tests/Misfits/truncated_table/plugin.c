// Gives a table that ends before destroy.
#include "../misfit_frame.h"
MODEL_PLUGIN_TAG
TABLE(offsetof(model_plugin, destroy), create, predict)
