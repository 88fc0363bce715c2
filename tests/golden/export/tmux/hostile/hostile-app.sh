#!/bin/sh
# hostile-app in tmux, as `devport export tmux` wrote it: a session with a window for each service.
# Run it again for what is missing: what runs is left alone, what has ended is started again.

# What the window of a service executes.
service() {
    case $1 in
    web_2e1)
        # Not carried over: stop.exec
        cd '/srv/it'"'"'s 100%n/a  b\c/$HOME/Grüße' || exit
        export BLANKS='  two  words '
        export SINGLE='it'"'"'s'
        export DOUBLE='say "hi"'
        export PERCENT='100%n %% %h'
        export DOLLAR='$HOME ${HOME} $$ $(id) `id`'
        export BACKSLASH='C:\new\'
        export NEWLINE='one
two
'
        export TAB='a	bc'
        export ACCENT='Grüße ✓'
        export EMPTY=''
        export BRACES='{{x}} {x} ${x}'
        export HASH='# no comment ; here'
        export SEMICOLON='a;'
        export COMMA='a,b="c",d:e'
        export MARKUP='<a href='"'"'x'"'"'>&amp;</a> ]]>'
        export YAML=yes
        export NUMBER=0123
        export DASH='- x: [y]'
        export TILDE='~'
        export BANG='!important !!'
        export EQUALS=a=b=c
        export PORT=19000
        export PS=web.1
        exec '/opt/my app/100%/run' '  two  words ' 'it'"'"'s' 'say "hi"' '100%n %% %h' '$HOME ${HOME} $$ $(id) `id`' 'C:\new\' 'one
two
' 'a	bc' 'Grüße ✓' '' '{{x}} {x} ${x}' '# no comment ; here' 'a;' 'a,b="c",d:e' '<a href='"'"'x'"'"'>&amp;</a> ]]>' yes 0123 '- x: [y]' '~' '!important !!' a=b=c -- -n ';' '&&' '*' @ % '$' '\' ''"'"'' '"'
        ;;
    Web_2ev2)
        cd '/srv/it'"'"'s 100%n/a  b\c/$HOME/Grüße' || exit
        export BLANKS='  two  words '
        export SINGLE='it'"'"'s'
        export DOUBLE='say "hi"'
        export PERCENT='100%n %% %h'
        export DOLLAR='$HOME ${HOME} $$ $(id) `id`'
        export BACKSLASH='C:\new\'
        export NEWLINE='one
two
'
        export TAB='a	bc'
        export ACCENT='Grüße ✓'
        export EMPTY=''
        export BRACES='{{x}} {x} ${x}'
        export HASH='# no comment ; here'
        export SEMICOLON='a;'
        export COMMA='a,b="c",d:e'
        export MARKUP='<a href='"'"'x'"'"'>&amp;</a> ]]>'
        export YAML=yes
        export NUMBER=0123
        export DASH='- x: [y]'
        export TILDE='~'
        export BANG='!important !!'
        export EQUALS=a=b=c
        export PORT=19100
        export PS=Web.v2
        exec /bin/sh -c 'printf '"'"'%s\n'"'"' "$PORT" '"'"'it'"'"'\'"'"''"'"'s'"'"' $$ `id`; echo {{x}} %n # done
echo second'
        ;;
    a-b_5fc_2ed)
        # Not carried over: after
        cd '/srv/it'"'"'s 100%n/a  b\c/$HOME/Grüße/sub folder' || exit
        export ONLY='here'"'"'s 100%'
        export PS=a-b_c.d
        exec tool 'a b'
        ;;
    task_2ex)
        # Not carried over: status
        cd '/srv/it'"'"'s 100%n/a  b\c/$HOME/Grüße' || exit
        export PS=task.x
        exec './do it' ''
        ;;
    esac
}

if [ "${1-}" = service ]; then
    [ $# -lt 3 ] || tmux wait-for "$3"
    unset TMUX TMUX_PANE
    service "$2"
    exit
fi

session=hostile-app
case $0 in /*) self=$0 ;; *) self=$PWD/$0 ;; esac
if ! [ -f "$self" ]; then
    echo "$session: save this script to a file first: the windows execute it" >&2
    exit 2
fi
# A ; that ends a word would end the command.
case $self in *\;) self="${self%;}\;" ;; esac

if tmux has-session -t "=$session" 2>/dev/null; then
    if [ "$(tmux show-options -qv -t "=$session:" @devport-export)" != "$session" ]; then
        echo "$session: there is a session of this name already that is not this script's" >&2
        exit 1
    fi
fi

# open KEY NAME: a window for the service, unless there is one in which it runs.
open() {
    set -- "$1" "$2" $(
        tmux list-panes -s -t "=$session:" -F '#{@devport-service} #{pane_id} #{pane_dead}' 2>/dev/null |
            grep "^$1 "
    )
    if [ -z "${4-}" ]; then
        make "$1" "$2"
    elif [ "$5" = 1 ]; then
        tmux respawn-pane -t "$4" /bin/sh "$self" service "$1"
    fi
}

# The window waits until it is known and stays behind its service's end.
make() {
    token="devport-$$-$1"
    if tmux has-session -t "=$session" 2>/dev/null; then
        set -- "$1" "$2" new-window -d -t "=$session:"
    else
        set -- "$1" "$2" new-session -d -s "$session"
    fi
    key=$1 name=$2
    shift 2
    pane=$(
        tmux "$@" -n "$name" -P -F '#{pane_id}' /bin/sh "$self" service "$key" "$token" \; \
            set-option -t "=$session:" @devport-export "$session" \; \
            set-option -t "=$session:" destroy-unattached off
    ) &&
        tmux set-option -p -t "$pane" remain-on-exit on \; \
            set-option -p -t "$pane" @devport-service "$key" \; \
            set-option -w -t "$pane" allow-rename off \; \
            rename-window -t "$pane" "$name" \; \
            wait-for -S "$token"
}

open web_2e1 web_1 || exit
open Web_2ev2 Web_v2 || exit
open a-b_5fc_2ed a-b_c_d || exit
open task_2ex task_x || exit
