namespace CudaTrainer.Cli.CommandLine;

/// <summary>
/// What shells need to complete words: they ask the program how the line goes on, by <see cref="ArgumentParser.Complete"/>, so that no
/// script has a list that could be stale. Options are offered behind a hyphen, files where nothing else fits.
/// </summary>
internal static class CompletionScript
{
    /// <summary>The shells that there is a script for.</summary>
    public static IReadOnlyList<string> Shells { get; } = ["bash", "zsh", "fish"];

    // A line is that of the command alone, without its name and what stands behind the cursor. "--option=" is given as "--option ", which
    // is how System.CommandLine knows that a value follows.
    private const string Bash = """
        # Completes cudatrainer in bash.
        _cudatrainer() {
            local line=${COMP_LINE:0:COMP_POINT} word=${COMP_WORDS[COMP_CWORD]} words
            [[ $word != = ]] || word=
            [[ $line =~ ^(.*[[:space:]]--[a-z-]+)=([^[:space:]]*)$ ]] && line="${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
            words=$("${1/#\~\//$HOME/}" "[suggest]" "${line#*[[:space:]]}" 2>/dev/null)
            [[ $word == -* ]] || words=$(grep -v '^-' <<<"$words")
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        }
        complete -o bashdefault -o default -F _cudatrainer cudatrainer

        """;

    // The same text serves as a file of $fpath, whose first line zsh looks at, and to be sourced.
    private const string Zsh = """
        #compdef cudatrainer
        # Completes cudatrainer in zsh.
        _cudatrainer() {
            local line="${(j: :)words[2,CURRENT-1]} $PREFIX"
            local -a found
            if compset -P '--*='; then
                line="${(j: :)words[2,CURRENT-1]} ${IPREFIX%=} $PREFIX"
            fi
            found=("${(@f)$(${~words[1]} "[suggest]" "${line# }" 2>/dev/null)}")
            [[ $PREFIX == -* ]] || found=(${found:#-*})
            compadd -a found || _files
        }
        if [[ ${funcstack[1]} == _cudatrainer ]]; then
            _cudatrainer "$@"
        else
            compdef _cudatrainer cudatrainer
        fi

        """;

    private const string Fish = """
        # Completes cudatrainer in fish.
        function __cudatrainer_words
            set -l program (commandline -opc)[1]
            set -l word (commandline -ct)
            set -l start ""
            set -l line (commandline -cp | string replace -r '^\s*\S+\s' '')
            if string match -qr '^--[a-z-]+=' -- $word
                set start (string replace -r '=.*' '=' -- $word)
                set line (string replace -r '(--[a-z-]+)=(\S*)$' '$1 $2' -- $line)
            end
            set -l words (eval $program '"[suggest]"' (string escape -- "$line") 2>/dev/null)
            string match -q -- '-*' "$word"; and test -z "$start"; or set words (string match -v -- '-*' $words)
            test -n "$words"; or set words (__fish_complete_path (string replace -- "$start" "" $word))
            printf '%s\n' $start$words
        end
        complete -c cudatrainer -f -a '(__cudatrainer_words)'

        """;

    /// <param name="shell">One of <see cref="Shells"/>.</param>
    public static string Of(string shell) => shell switch
    {
        "bash" => Bash,
        "zsh" => Zsh,
        _ => Fish,
    };
}
