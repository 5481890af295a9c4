// Regular expressions of the standard library, by many types: some ten seconds for one compiler.
#include <Python.h>

#include <map>
#include <regex>
#include <string>
#include <vector>

template <int N>
struct Layer {
    std::map<std::vector<int>, std::basic_string<char>> values[N % 7 + 1];
    static bool matches(const std::string &text) {
        std::regex pattern("(a|b){" + std::to_string(N) + "}", std::regex::ECMAScript);
        std::map<std::pair<int, std::string>, std::vector<Layer<N - 1> *>> seen;
        seen[{N, text}].push_back(nullptr);
        return std::regex_match(text, pattern) || Layer<N - 1>::matches(text) || seen.size() > N;
    }
};

template <>
struct Layer<0> {
    static bool matches(const std::string &) { return false; }
};

static PyObject *matches(PyObject *, PyObject *) { return PyBool_FromLong(Layer<45>::matches("ab")); }

static PyMethodDef methods[] = {{"matches", matches, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "fromzero_heavy", nullptr, -1, methods};

PyMODINIT_FUNC PyInit_fromzero_heavy() { return PyModule_Create(&definition); }
