"""tmux: windows for supervisors, and the way back to them. Nothing else runs tmux.

`words` is what is said to tmux, `client` runs it, `server` is the two put to use. None of them knows a
service or a record.
"""

from devport.tmux.server import PartlyOpened, Tmux
from devport.tmux.words import Window, window_of

__all__ = ["PartlyOpened", "Tmux", "Window", "window_of"]
