
# Without the package bash-completion the words are put together here, which
# bash cuts at = and : too.
if ! declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
    __lycaon_init_completion() {
        local line=${COMP_LINE:0:COMP_POINT} word
        words=()
        for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
            if [[ ${#words[@]} -eq 0 || $line == [[:blank:]]* ]]; then
                words+=("")
                line=${line#"${line%%[![:blank:]]*}"}
            fi
            [[ $line == "$word"* ]] || word=$line # the cursor is in it
            words[-1]+=$word
            line=${line#"$word"}
        done
        cword=$((${#words[@]} - 1)) cur=${words[-1]} prev=${words[cword - 1]}
    }
fi
