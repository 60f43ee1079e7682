"""The two families of errors that reach a user; each command line exit code has one."""


class InputError(ValueError):
    """What the user gave cannot be used: weights, images, names, a tampered artifact (exit code 2).

    The message says what was got, where (which file), what is allowed and what to do next.
    """


class MachineError(RuntimeError):
    """The machine stood in the way: full disk, no network, a runtime that crashed (exit code 3).

    The same command may succeed later or elsewhere; the message says what to change.
    """
