"""Why a request is not answered, in terms of the service and not of HTTP."""


class RefusedError(Exception):
    """A request that is refused: `code` is one of `serving.problems.KINDS`, the message says what to do."""

    def __init__(self, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = headers
