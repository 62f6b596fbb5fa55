/**
 * For bash. Not the script of @bomb.sh/tab: that one needs the package bash-completion, and puts what has been typed through
 * `eval`, so that a TAB runs a command substitution that nobody has run yet.
 */
export const BASH_COMPLETION = `# bash completion for sallyport: source <(sallyport complete bash)
_sallyport() {
  local word cur="\${COMP_WORDS[COMP_CWORD]}" line
  COMPREPLY=()
  while IFS= read -r line; do
    word="\${line%%$'\\t'*}"
    [[ "$word" == :* ]] && continue
    [[ "$word" == "$cur"* ]] && COMPREPLY+=("$word")
  done < <(sallyport complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _sallyport sallyport
`
