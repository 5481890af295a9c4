#include <Python.h>
#ifdef WITH_LIBRARY
#include <libaio.h>
#endif

static PyObject *words(PyObject *, PyObject *) { return PyUnicode_FromString(WORDS); }

static PyMethodDef methods[] = {{"words", words, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "said", nullptr, -1, methods};

PyMODINIT_FUNC PyInit_said() { return PyModule_Create(&definition); }
