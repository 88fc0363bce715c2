#!/bin/sh
# shop in tmux, as `devport export tmux` wrote it: a session with a window for each service.
# Run it again for what is missing: what runs is left alone, what has ended is started again.

# What the window of a service executes.
service() {
    case $1 in
    migrate)
        # Not carried over: after, status
        cd /srv/shop || exit
        export DATABASE_URL=postgres://localhost:19000/shop
        export DB_PORT=19000
        export SECRET_KEY=s3cr3t
        export PS=migrate
        exec /bin/sh -c './manage.py migrate'
        ;;
    db)
        # Not carried over: stop.signal, stop.timeout
        cd /srv/shop || exit
        export DATABASE_URL=postgres://localhost:19000/shop
        export DB_PORT=19000
        export SECRET_KEY=s3cr3t
        export PORT=19000
        export PS=db
        exec postgres -D data
        ;;
    api)
        # Not carried over: after, ready, watchdog, restart
        cd /srv/shop || exit
        export DATABASE_URL=postgres://localhost:19000/shop
        export DB_PORT=19000
        export SECRET_KEY=s3cr3t
        export LOG_LEVEL=info
        export http=19100
        export admin=19101
        export PORT=19100
        export PS=api
        exec ./bin/api --verbose
        ;;
    web)
        # Not carried over: after, ready, live
        cd /srv/shop || exit
        export DATABASE_URL=postgres://localhost:19000/shop
        export DB_PORT=19000
        export SECRET_KEY=s3cr3t
        export PORT=19200
        export PS=web
        exec /bin/sh -c 'exec gunicorn shop.wsgi --bind 127.0.0.1:$PORT'
        ;;
    web_2e2)
        # Not carried over: after, ready, live
        cd /srv/shop || exit
        export DATABASE_URL=postgres://localhost:19000/shop
        export DB_PORT=19000
        export SECRET_KEY=s3cr3t
        export PORT=19201
        export PS=web.2
        exec /bin/sh -c 'exec gunicorn shop.wsgi --bind 127.0.0.1:$PORT'
        ;;
    clock)
        # Not carried over: after, watch, restart
        cd /srv/shop/clock || exit
        export DATABASE_URL=postgres://localhost:19000/shop
        export DB_PORT=19000
        export SECRET_KEY=s3cr3t
        export PS=clock
        exec /bin/sh -c 'while :; do date; sleep 60; done'
        ;;
    esac
}

if [ "${1-}" = service ]; then
    [ $# -lt 3 ] || tmux wait-for "$3"
    unset TMUX TMUX_PANE
    service "$2"
    exit
fi

session=shop
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

open migrate migrate || exit
open db db || exit
open api api || exit
open web web || exit
open web_2e2 web_2 || exit
open clock clock || exit
