"""What a command tells its user when it cannot go on.

Always: the message says what is wrong in one line, the hint what to do about it; no trace is shown.
"""


class CliError(Exception):
    """Ends a command with exit code 1 (or `code`), the message and, where there is one, a hint."""

    def __init__(self, message: str, hint: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code
