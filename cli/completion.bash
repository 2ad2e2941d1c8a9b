# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Completion of pregate's commands, options and catalogue names in bash. The program itself is asked for all of them, so
# that a new option or model is known without an edit here.

# Commands of `$1 --help`: lines of two blanks, a word, and a text.
_pregate_commands() {
  "$@" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'
}

_pregate_options() {
  "$@" --help 2>/dev/null | sed -n 's/^ *\(-[a-z] \[ \)\{0,1\}\(--[a-z][a-z0-9-]*\).*/\2/p'
}

# First words of the rows of `pregate list KIND`.
_pregate_names() {
  "$1" list "$2" 2>/dev/null | sed -n '2,$s/^ \{0,2\}\([a-z0-9][a-z0-9._-]*\) .*/\1/p'
}

_pregate() {
  local program="${COMP_WORDS[0]}" word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD - 1]}"
  local command=() choices kind=""
  COMPREPLY=()

  # `pregate trace import`: the command goes on as long as the next word names one.
  local i below
  below="$(_pregate_commands "$program")"
  for ((i = 1; i < COMP_CWORD; ++i)); do
    grep -qx -- "${COMP_WORDS[i]}" <<<"$below" || break
    command+=("${COMP_WORDS[i]}")
    below="$(_pregate_commands "$program" "${command[@]}")"
  done

  case "$before" in
    --model) kind=models ;;
    --machine) kind=machines ;;
    --host) kind=hosts ;;
    --software) kind=software ;;
    --policy) kind=policies ;;
    --eviction) kind=evictions ;;
    --locality) kind=localities ;;
    --profile) kind=profiles ;;
    --weights | --dense-weights) kind=weight-formats ;;
  esac
  if [[ -n $kind ]]; then
    local listed="" last="$word"
    if [[ $kind == policies && $word == *,* ]]; then  # several, comma-separated
      listed="${word%,*},"
      last="${word##*,}"
    fi
    choices="$(_pregate_names "$program" $kind)"
    mapfile -t COMPREPLY < <(compgen -P "$listed" -W "$choices" -- "$last")
    # A model or machine may be a file as well.
    [[ $kind == models || $kind == machines ]] && mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$word")
    return
  fi
  if [[ $word == -* ]]; then
    choices="$(_pregate_options "$program" "${command[@]}")"
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
  elif [[ -n $below ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$below" -- "$word")
  elif [[ ${command[0]} == list ]]; then
    choices="$("$program" list --help | sed -n 's/^usage: pregate list \[\(.*\)\]$/\1/p' | tr '|' ' ')"
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -o filenames -F _pregate pregate
