# Completion of muster and muster-agent for bash. It asks the program for its commands, verbs and
# options, so it is never behind; file names are bash's own.

_muster_names() {
    "$@" --help 2>/dev/null </dev/null | sed -n 's/^  \([a-z-]*[a-z]\)[ [].*/\1/p'
}

# Verbs of a verb (muster ca rollover): where it has a --help of its own.
_muster_inner() {
    [[ $("$1" "$2" "$3" --help 2>/dev/null </dev/null) == "$("$1" "$2" --help 2>/dev/null </dev/null)" ]] ||
        _muster_names "$@"
}

_muster() {
    local program=$1 word=$2 verb=() names
    COMPREPLY=()
    if ((COMP_CWORD > 2)) && [[ ${COMP_WORDS[2]} != -* ]]; then
        verb=("${COMP_WORDS[2]}")
    fi
    if ((COMP_CWORD == 1)); then
        names=$(_muster_names "$program" | grep -v '^-')
    elif [[ $word == -* ]]; then
        names=$(_muster_names "$program" "${COMP_WORDS[1]}" "${verb[@]}" | grep '^--')
    elif ((COMP_CWORD == 2)); then
        names=$(_muster_names "$program" "${COMP_WORDS[1]}" | grep -v '^-')
    elif ((COMP_CWORD == 3 && ${#verb[@]})); then
        names=$(_muster_inner "$program" "${COMP_WORDS[1]}" "${verb[@]}" | grep -v '^-')
    fi
    mapfile -t COMPREPLY < <(compgen -W "$names" -- "$word")
}

complete -o default -F _muster muster muster-agent
