"""Ctrl-C that waits for the end of a step, so that there is something whole to save."""

import signal


class Stop:
    """Turns the first Ctrl-C into a wish, granted between two steps; the second one ends the program at once."""

    def __enter__(self):
        self.wanted, self.before = False, signal.signal(signal.SIGINT, self.note)
        return self

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, self.before)

    def note(self, *_):
        self.wanted = True
        signal.signal(signal.SIGINT, self.before)
