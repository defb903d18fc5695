# bash completion for popferry(1)

# The accounts of the fetchrc that is named on the line, or of the first that is found.
_popferry_titles() {
    local i file=
    for ((i = 1; i < ${#COMP_WORDS[@]}; i++)); do
        case ${COMP_WORDS[i]} in
        -c | --config) file=${COMP_WORDS[i + 1]}; [[ $file == = ]] && file=${COMP_WORDS[i + 2]} ;;
        esac
    done
    file=${file/#\~/$HOME}
    [[ -n $file ]] || for file in "${XDG_CONFIG_HOME:-$HOME/.config}/popferry/fetchrc" /etc/popferry/fetchrc; do
        [[ -r $file ]] && break
    done
    sed -n "s/^[[:space:]]*$1[[:space:]]*[\"']\([^\"']*\)[\"'].*/\1/p" "$file" 2>/dev/null
}

# Into COMPREPLY: of the lines on standard input, those that begin like the word $1, quoted for the shell. Not compgen -W,
# which would expand them: a title may hold blanks, or $(...).
_popferry_offer() {
    local line quote='' typed=$1
    case $typed in
    [\'\"]*) quote=${typed:0:1} typed=${typed:1} ;;
    esac
    [[ $quote == \' ]] || typed=${typed//\\/}
    while IFS= read -r line; do
        [[ -n $line && $line == "$typed"* ]] || continue
        case $quote in
        \') [[ $line == *\'* ]] && continue ;;
        \")
            line=${line//\\/\\\\} line=${line//\"/\\\"}
            line=${line//\$/\\\$} line=${line//\`/\\\`}
            ;;
        *) printf -v line %q "$line" ;;
        esac
        COMPREPLY+=("$line")
    done
}

_popferry() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local commands='run check status history import talk authorize' command='' i
    COMPREPLY=()
    # --option=value is three words to bash.
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ " $commands " == *" ${COMP_WORDS[i]} "* ]] && command=${COMP_WORDS[i]} && break
    done
    case $previous in
    -c | --config) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --state-dir) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    --log-format) mapfile -t COMPREPLY < <(compgen -W 'text json journal' -- "$current"); return ;;
    --state) mapfile -t COMPREPLY < <(compgen -W 'listed recorded gone seen noticed quarantined refused' -- "$current"); return ;;
    --shard | --forget | --since | --search) return ;;
    esac
    if [[ $current == -* ]]; then
        local options='--config --quiet --verbose --log-format --state-dir --help --version'
        case $command in
        '' | run) options+=' --dry-run --all-sizes --shard' ;;
        check | status) options+=' --dry-run --json' ;;
        history) options+=' --json --yes --state --since --search --forget --seen --retry --prune --move --reset' ;;
        import) options+=' --dry-run --yes' ;;
        talk) options+=' --no-login' ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi
    case $command in
    import) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    talk) _popferry_offer "$current" < <(_popferry_titles account; _popferry_titles destination) ;;
    '') _popferry_offer "$current" < <(printf '%s\n' "${commands// /$'\n'}"; _popferry_titles account) ;;
    *) _popferry_offer "$current" < <(_popferry_titles account) ;;
    esac
}

complete -F _popferry popferry
