# fish completion for popferry(1)

# The sections of one kind in the fetchrc that is named on the line, or in the first that is found.
function __popferry_titles
    set -l words (commandline -opc)
    set -l file
    for i in (seq (count $words))
        switch $words[$i]
            case -c --config
                set file $words[(math $i + 1)]
            case '--config=*'
                set file (string replace -- '--config=' '' $words[$i])
        end
    end
    set file (string replace -r '^~' $HOME -- $file)
    if test -z "$file"
        set -l config $XDG_CONFIG_HOME
        test -n "$config"; or set config $HOME/.config
        set file $config/popferry/fetchrc
        test -r $file; or set file /etc/popferry/fetchrc
    end
    test -r "$file"; and sed -n "s/^[[:space:]]*$argv[1][[:space:]]*[\"']\([^\"']*\)[\"'].*/\1/p" $file
end

set -l commands run check status history import talk authorize

complete -c popferry -f
complete -c popferry -n "not __fish_seen_subcommand_from $commands" -a run -d 'poll once: fetch, deliver, delete'
complete -c popferry -n "not __fish_seen_subcommand_from $commands" -a check -d 'try fetchrc, logins and SMTP servers'
complete -c popferry -n "not __fish_seen_subcommand_from $commands" -a status -d 'last success, last fault, waiting, refused'
complete -c popferry -n "not __fish_seen_subcommand_from $commands" -a history -d 'what is remembered'
complete -c popferry -n "not __fish_seen_subcommand_from $commands" -a import -d 'take over from fetchmail, mpop or getmail'
complete -c popferry -n "not __fish_seen_subcommand_from $commands" -a talk -d 'type POP3 or SMTP commands by hand'
complete -c popferry -n "not __fish_seen_subcommand_from $commands" -a authorize -d 'OAuth2 login'
complete -c popferry -n "not __fish_seen_subcommand_from import" -a '(__popferry_titles account)' -d account
complete -c popferry -n "__fish_seen_subcommand_from talk" -a '(__popferry_titles destination)' -d destination
complete -c popferry -n "__fish_seen_subcommand_from import" -F

complete -c popferry -s c -l config -r -F -d 'the fetchrc'
complete -c popferry -n "not __fish_seen_subcommand_from history talk authorize" -s n -l dry-run -d 'show what would be done, change nothing'
complete -c popferry -s q -l quiet -d 'tell faults only'
complete -c popferry -s v -l verbose -d 'tell more; twice: the dialogue'
complete -c popferry -l log-format -x -a 'text json journal' -d 'form of what is told'
complete -c popferry -l state-dir -x -a '(__fish_complete_directories)' -d 'where the history is kept'
complete -c popferry -s h -l help -d help
complete -c popferry -s V -l version -d version
complete -c popferry -n "__fish_seen_subcommand_from check status history" -l json -d 'for programs'
complete -c popferry -n "__fish_seen_subcommand_from history import" -l yes -d 'do not ask'
complete -c popferry -n "not __fish_seen_subcommand_from check status history import talk authorize" -l all-sizes -d 'also what is over max_size'
complete -c popferry -n "not __fish_seen_subcommand_from check status history import talk authorize" -l shard -x -d 'the K-th of N shares: K/N'
complete -c popferry -n "__fish_seen_subcommand_from talk" -l no-login -d 'log in by hand'
complete -c popferry -n "__fish_seen_subcommand_from history" -l state -x -a 'listed recorded gone seen noticed quarantined refused' -d 'only this state'
complete -c popferry -n "__fish_seen_subcommand_from history" -l since -x -d 'only what is younger'
complete -c popferry -n "__fish_seen_subcommand_from history" -l search -x -d 'only what holds this text'
complete -c popferry -n "__fish_seen_subcommand_from history" -l forget -x -d 'forget one message'
complete -c popferry -n "__fish_seen_subcommand_from history" -l seen -d 'mark all on the server as seen'
complete -c popferry -n "__fish_seen_subcommand_from history" -l retry -d 'try refused messages at once'
complete -c popferry -n "__fish_seen_subcommand_from history" -l prune -d 'drop what is no longer needed'
complete -c popferry -n "__fish_seen_subcommand_from history" -l move -d 'a mailbox has a new name: OLD NEW'
complete -c popferry -n "__fish_seen_subcommand_from history" -l reset -d 'move a damaged history aside'
