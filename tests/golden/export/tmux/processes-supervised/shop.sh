#!/bin/sh
# shop in tmux, as `devport export tmux --supervised` wrote it: each service in a window of the session
# devport, in which devport's own supervisor runs it. Run it again for what is missing.
cd /srv/shop || exit
devport start -d --root /srv/shop -c web=2 db api web clock || exit
exec devport attach db
