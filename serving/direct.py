"""Routes to which the door itself hands a request: the framework's way to them costs more than their answers do."""

from fastapi.routing import APIRoute


class DirectRoute(APIRoute):
    """A subclass answers in `handle`, and raises what `serving.problems.problem_of` knows.

    The scope then holds the path's parameters as texts; dependencies and the endpoint's parameters are documentation.
    """
