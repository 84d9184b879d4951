// Forgets the tag.
#include "../misfit_frame.h"
TABLE(sizeof(model_plugin), create, predict)
