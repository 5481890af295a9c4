// A module without content, by the name that the build gives it.
#include <Python.h>
#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)
#define INIT_OF(name) PyInit_##name
#define INIT(name) INIT_OF(name)

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, TEXT(NAME), nullptr, -1, nullptr};

PyMODINIT_FUNC INIT(NAME)() { return PyModule_Create(&definition); }
