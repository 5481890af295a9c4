_GLIBCXX_USE_CXX11_ABI = True


def _cuda_getArchFlags():
    return "sm_75 sm_80 sm_90"
