# The stand-in's shell function: what activate and deactivate need, the rest goes to the executable.
export CONDA_EXE='@PREFIX@/bin/conda'
conda() {
    case "${1-}" in
        activate)
            conda deactivate
            case "${2-base}" in
                base) CONDA_PREFIX='@PREFIX@' ;;
                */*) CONDA_PREFIX=$2 ;;
                *) CONDA_PREFIX=$("$CONDA_EXE" locate "$2") || { unset CONDA_PREFIX; return 1; } ;;
            esac
            export CONDA_PREFIX CONDA_DEFAULT_ENV="${2-base}" PATH="$CONDA_PREFIX/bin:$PATH"
            ;;
        deactivate)
            PATH=${PATH#"${CONDA_PREFIX-}/bin:"}
            unset CONDA_PREFIX CONDA_DEFAULT_ENV
            ;;
        *) "$CONDA_EXE" "$@" ;;
    esac
}
