// The price of an order. Replace it with your model; model_plugin.h is the whole contract.
// No exception may leave a function of the table: each that can throw ends in `catch (...)`.
#include <exception>
#include <new>
#include <stdexcept>
#include <string_view>

#include "model_plugin.h"

MODEL_PLUGIN_TAG

namespace {

enum Input { price, quantity };

class OrderModel {
  public:
    double total(double price, double quantity) const {
        if (quantity < 1) throw std::invalid_argument("quantity is below 1");
        return price * quantity;
    }
};

const char *describe() {
    return R"({"inputs": [
        {"name": "price", "type": "number", "doc": "price of one piece"},
        {"name": "quantity", "type": "number", "doc": "pieces, from 1 on"}],
        "output": {"type": "number"}, "doc": "Price of an order.",
        "examples": [{"price": 2.5, "quantity": 4}], "threading": "concurrent"})";
}

void tell(model_writer *out, std::string_view sentence) {
    out->message(out, sentence.data(), sentence.size());
}

OrderModel *model(model_instance *self) { return reinterpret_cast<OrderModel *>(self); }

model_instance *create(const model_create *, model_writer *failure) {
    try {
        return reinterpret_cast<model_instance *>(new OrderModel);
    } catch (...) {
        tell(failure, "no memory");
        return nullptr;
    }
}

model_status predict(model_instance *self, const model_call *call, model_writer *out) {
    try {
        const model_value *values = call->values;
        double total = model(self)->total(values[price].number, values[quantity].number);
        return out->number(out, total) ? MODEL_OK : MODEL_INTERNAL;
    } catch (const std::invalid_argument &fault) {
        tell(out, fault.what());
        return MODEL_INVALID_INPUT;
    } catch (...) {
        return MODEL_INTERNAL;
    }
}

void destroy(model_instance *self) { delete model(self); }

constexpr model_plugin plugin = {
    sizeof(model_plugin), MODEL_ABI_MAJOR, MODEL_ABI_MINOR, 0,
    describe, create, predict, nullptr, nullptr, destroy, nullptr};

}  // namespace

const model_plugin *model_plugin_entry(const model_host *) { return &plugin; }
