# Completion for vitrine(1) in bash: subcommands, their options (as --help lists them), and files.

_vitrine_options() {
    "$1" "$2" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p'
}

_vitrine() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} words=
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        words='run debug walk disasm devices isa draw --help --version'
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        return
    fi
    case $previous in
    --under) words='bare hv' ;;
    --engine) words='interp' ;;
    --clock) words='instructions host' ;;
    --misaligned | --ad-bits) words='hardware trap' ;;
    --trace) words='exits mmu insns exits,mmu exits,mmu,insns' ;;
    --access) words='r w x' ;;
    --what) words='translation tables exits' ;;
    --memory) words='16M 64M 256M 1G' ;;
    *)
        case $command:$current in
        isa:*) words='instructions csrs causes exits' ;;
        *:-*) words=$(_vitrine_options "${COMP_WORDS[0]}" "$command") ;;
        esac
        ;;
    esac
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames 2>/dev/null
    fi
}

complete -F _vitrine vitrine
