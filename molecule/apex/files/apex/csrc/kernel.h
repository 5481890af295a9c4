#include "module.h"
#include <cuda_runtime.h>

__global__ void scale(float *values, float by) { values[threadIdx.x] *= by; }

void on_gpu(float *values) { scale<<<1, 32>>>(values, 2.0f); }
