"""Dagster's UI as its browser part uses it: launch, re-execute, terminate and look, through GraphQL.

Belongs here: the mutations and queries. Does not belong here: assertions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

LAUNCH = """
mutation ($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
REEXECUTE = """
mutation ($p: ReexecutionParams) { launchRunReexecution(reexecutionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
TERMINATE = """
mutation ($ids: [String!]!, $policy: TerminateRunPolicy) { terminateRuns(runIds: $ids, terminatePolicy: $policy) {
  ... on TerminateRunsResult { terminateRunResults { __typename
    ... on TerminateRunFailure { message } ... on PythonError { message } } } } }"""
RUN = """
query ($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value }
  stepStats { stepKey status } } } }"""
FAILURES = """
query ($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { __typename
  ... on ExecutionStepFailureEvent { stepKey failureMetadata { description } error { message stack cause { message } } }
  ... on MessageEvent { message }
  ... on ErrorEvent { error { message } } } } } }"""
RUNS = """
query ($tag: [ExecutionTag!]) { runsOrError(filter: {tags: $tag}) { ... on Runs { results { runId status } } } }"""
FINISHED = ("SUCCESS", "FAILURE", "CANCELED")


class Ui:
    """Dagster's UI at an address, and the code location that it shows."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=60)

    def ask(self, query: str, **variables: Any) -> Any:
        """Return the data of a GraphQL answer."""
        answer = self.client.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def launch(self, request_id: int) -> str:
        """Launch the job from the launchpad; return the run's id."""
        config = f"request_id: {request_id}\n"
        params = {"selector": self._selector(), "runConfigData": config, "mode": "default"}
        return self._started(self.ask(LAUNCH, p=params)["launchRun"])

    def reexecute(self, run_id: str, strategy: str) -> str:
        """Re-execute a run, `ALL_STEPS` or `FROM_FAILURE`; return the new run's id."""
        params = {"parentRunId": run_id, "strategy": strategy}
        return self._started(self.ask(REEXECUTE, p=params)["launchRunReexecution"])

    def terminate(self, run_id: str, policy: str = "SAFE_TERMINATE") -> Mapping[str, Any]:
        """Terminate a run; return what the UI would show."""
        answer: Mapping[str, Any] = self.ask(TERMINATE, ids=[run_id], policy=policy)["terminateRuns"]
        return dict(answer["terminateRunResults"][0])

    def status(self, run_id: str) -> str:
        """Return a run's status."""
        return str(self.ask(RUN, id=run_id)["runOrError"]["status"])

    def tags(self, run_id: str) -> dict[str, str]:
        """Return a run's tags."""
        return {tag["key"]: tag["value"] for tag in self.ask(RUN, id=run_id)["runOrError"]["tags"]}

    def steps(self, run_id: str) -> dict[str, str]:
        """Return the status of each step that ran."""
        stats = self.ask(RUN, id=run_id)["runOrError"]["stepStats"]
        return {step["stepKey"]: step["status"] for step in stats}

    def runs(self, request_id: int) -> Sequence[str]:
        """Return the runs tagged with a request, newest first."""
        answer = self.ask(RUNS, tag=[{"key": "inbox/request_id", "value": str(request_id)}])
        return [run["runId"] for run in answer["runsOrError"]["results"]]

    def failure(self, run_id: str) -> Mapping[str, Any]:
        """Return a run's step failure event."""
        events = self.ask(FAILURES, id=run_id)["logsForRun"]["events"]
        return next(event for event in events if event["__typename"] == "ExecutionStepFailureEvent")

    def messages(self, run_id: str) -> str:
        """Return all messages of a run."""
        events = self.ask(FAILURES, id=run_id)["logsForRun"]["events"]
        errors = ((event.get("error") or {}).get("message") or "" for event in events)
        return "\n".join([*(event.get("message") or "" for event in events), *errors])

    def wait(self, run_id: str, *statuses: str, seconds: float = 60.0) -> str:
        """Poll until a run has one of `statuses` (default: finished); return it."""
        wanted, deadline = statuses or FINISHED, time.monotonic() + seconds
        while (status := self.status(run_id)) not in wanted:
            assert time.monotonic() < deadline, f"run still {status}:\n{self.messages(run_id)}"
            time.sleep(0.1)
        return status

    def first_run(self, request_id: int, seconds: float = 30.0) -> str:
        """Wait for the sensor to launch a request's first run."""
        deadline = time.monotonic() + seconds
        while not (found := self.runs(request_id)):
            assert time.monotonic() < deadline, "no run was launched"
            time.sleep(0.1)
        return found[-1]

    def _selector(self) -> dict[str, str]:
        query = "{ workspaceOrError { ... on Workspace { locationEntries { name } } } }"
        location = self.ask(query)["workspaceOrError"]["locationEntries"][0]["name"]
        names = {"repositoryName": "__repository__", "repositoryLocationName": location}
        return {**names, "jobName": "import_request"}

    @staticmethod
    def _started(answer: Mapping[str, Any]) -> str:
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])
