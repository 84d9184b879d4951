// The layout of every type of the contract, checked where it is compiled. A change here is a new
// major version, except that fields may be appended to the tables with a new minor version.
#include "model_plugin.h"

#define AT(type, field, offset) \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved")
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")

AT(model_plugin_tag, magic, 0);
AT(model_plugin_tag, size, 8);
AT(model_plugin_tag, major, 12);
AT(model_plugin_tag, minor, 16);
AT(model_plugin_tag, flags, 20);
AT(model_plugin_tag, build, 24);
SIZE(model_plugin_tag, 64);

AT(model_value, kind, 0);
AT(model_value, number, 8);
AT(model_value, text, 16);
AT(model_value, length, 24);
SIZE(model_value, 32);

AT(model_call, size, 0);
AT(model_call, value_count, 4);
AT(model_call, values, 8);
AT(model_call, request_id, 16);
AT(model_call, request_id_length, 24);
AT(model_call, deadline_ns, 32);
AT(model_call, cancelled, 40);
SIZE(model_call, 48);

AT(model_writer, size, 0);
AT(model_writer, host, 8);
AT(model_writer, number, 16);
AT(model_writer, json, 24);
AT(model_writer, reserve, 32);
AT(model_writer, commit, 40);
AT(model_writer, message, 48);
SIZE(model_writer, 56);

AT(model_host, size, 0);
AT(model_host, major, 4);
AT(model_host, minor, 8);
AT(model_host, name, 16);
AT(model_host, version, 24);
AT(model_host, log, 32);
AT(model_host, extension, 40);
SIZE(model_host, 48);

AT(model_create, size, 0);
AT(model_create, version, 4);
AT(model_create, name, 8);
AT(model_create, settings, 16);
AT(model_create, settings_length, 24);
AT(model_create, resources, 32);
AT(model_create, source, 40);
SIZE(model_create, 48);

AT(model_plugin, size, 0);
AT(model_plugin, major, 4);
AT(model_plugin, minor, 8);
AT(model_plugin, describe, 16);
AT(model_plugin, create, 24);
AT(model_plugin, predict, 32);
AT(model_plugin, predict_batch, 40);
AT(model_plugin, health, 48);
AT(model_plugin, destroy, 56);
AT(model_plugin, extension, 64);
SIZE(model_plugin, 72);

_Static_assert(sizeof(model_status) == 4 && sizeof(model_log_level) == 4, "enums are 32 bits");
_Static_assert(sizeof(MODEL_ABI_MAGIC) == 9, "the magic has eight bytes");

AT(model_tensor, name, 0);
AT(model_tensor, name_length, 8);
AT(model_tensor, datatype, 16);
AT(model_tensor, rank, 20);
AT(model_tensor, shape, 24);
AT(model_tensor, data, 32);
AT(model_tensor, bytes, 40);
SIZE(model_tensor, 48);

AT(model_tensor_writer, size, 0);
AT(model_tensor_writer, host, 8);
AT(model_tensor_writer, output, 16);
AT(model_tensor_writer, message, 24);
SIZE(model_tensor_writer, 32);

AT(model_tensors, size, 0);
AT(model_tensors, describe, 8);
AT(model_tensors, predict, 16);
SIZE(model_tensors, 24);
