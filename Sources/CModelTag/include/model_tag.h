// Linking this target puts the data symbol `model_plugin_abi` into a plugin. There is nothing to
// call: the host reads the symbol from the file before any of the plugin's code runs.
#ifndef MODEL_TAG_H
#define MODEL_TAG_H
#endif
