// The sum of a tensor's elements, found by torch's own library.
#include <torch/extension.h>

double total(const torch::Tensor &values) { return values.sum().item<double>(); }

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) { module.def("total", &total); }
