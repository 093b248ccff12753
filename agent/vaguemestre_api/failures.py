"""What a caller of the client can meet: a problem the agent answered, an agent that is not there, a broken answer.

::

    ClientFailure
    ├── ApiProblem          the agent answered a problem
    ├── AgentNotRunning     nobody listens, and nothing says that it is starting
    ├── AgentSilent         it was reached but did not answer in time: the outcome of a write is unknown
    └── AnswerUnreadable    the answer is not what the API says
"""

from __future__ import annotations

from vaguemestre_api.wire import Problem


class ClientFailure(Exception):
    """Base: ``code`` is in the catalogue."""

    code = "CLIENT_FAILURE"


class ApiProblem(ClientFailure):
    """The agent answered a problem; its text carries the code only."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.code = problem.code


class AgentNotRunning(ClientFailure):
    """Nobody listens on the endpoint."""

    code = "AGENT_NOT_RUNNING"


class AgentSilent(ClientFailure):
    """No complete answer in time, or the connection broke: repeat an idempotent call, else read the state again."""

    code = "AGENT_SILENT"


class AnswerUnreadable(ClientFailure):
    """The answer does not fit the API; ``where`` is the member."""

    code = "ANSWER_UNREADABLE"

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where
