#!/bin/sh
# hostile-app in tmux, as `devport export tmux --supervised` wrote it: each service in a window of the session
# devport, in which devport's own supervisor runs it. Run it again for what is missing.
cd '/srv/it'"'"'s 100%n/a  b\c/$HOME/Grüße' || exit
devport start -d --root '/srv/it'"'"'s 100%n/a  b\c/$HOME/Grüße' web Web.v2 a-b_c.d || exit
exec devport attach web
