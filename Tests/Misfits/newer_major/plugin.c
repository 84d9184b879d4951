// Was built for a contract that is still to come.
#include "../misfit_frame.h"
MODEL_EXPORT extern const model_plugin_tag model_plugin_abi;
const model_plugin_tag model_plugin_abi = {
    {'M', 'O', 'D', 'E', 'L', 'A', 'B', 'I'}, sizeof(model_plugin_tag), MODEL_ABI_MAJOR + 1, 0, 0,
    MODEL_BUILD_TEXT};
TABLE(sizeof(model_plugin), create, predict)
