"""What an experiment tells about its trials, in the records that NNI's users know."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class TrialResult:
    """The parameters of a succeeded trial and what came of them."""

    parameter: Mapping[str, Any]
    value: Any
    """The final metric: a number, or a dictionary with ``default``."""
    trialJobId: str  # noqa: N815 NNI's name
    isParetoOptimal: bool | None = None  # noqa: N815 like its neighbours
    """Of several objectives, whether no other trial is better in all of them; None with a single one."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TrialResult":
        """Read an element of ``export-data``."""
        return cls(data["parameter"], json.loads(data["value"]), data["trialJobId"], data.get("isParetoOptimal"))


@dataclasses.dataclass(frozen=True, slots=True)
class TrialMetricData:
    """One reported metric."""

    timestamp: int
    """Milliseconds since the epoch."""
    trialJobId: str  # noqa: N815 NNI's name
    parameterId: str  # noqa: N815 NNI's name
    type: str
    sequence: int
    data: Any

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TrialMetricData":
        """Read an element of ``metric-data``; its ``data`` is JSON text of JSON text."""
        value = json.loads(json.loads(data["data"]))
        return cls(data["timestamp"], data["trialJobId"], data["parameterId"], data["type"], data["sequence"], value)


@dataclasses.dataclass(frozen=True, slots=True)
class TrialJob:
    """A trial as it stands."""

    trialJobId: str  # noqa: N815 NNI's name
    status: str
    hyperParameters: tuple[Mapping[str, Any], ...]  # noqa: N815 NNI's name
    logPath: str | None  # noqa: N815 NNI's name
    startTime: int | None  # noqa: N815 NNI's name
    endTime: int | None  # noqa: N815 NNI's name
    sequenceId: int  # noqa: N815 NNI's name
    finalMetricData: tuple[TrialMetricData, ...]  # noqa: N815 NNI's name
    stderrPath: str | None = None  # noqa: N815 NNI's name
    job: str | None = None
    """The name of its Kubernetes job, or its process id."""
    reason: Mapping[str, Any] | None = None
    """Why it is where it is: class, sentence, evidence, since."""
    attempt: int = 1
    """The current one, counted from 1."""
    exitCode: int | None = None  # noqa: N815 like its neighbours
    lastLines: tuple[str, ...] = ()  # noqa: N815 like its neighbours
    """The last lines that a failed trial wrote."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TrialJob":
        """Read an element of ``trial-jobs``."""
        return cls(
            trialJobId=data["trialJobId"],
            status=data["status"],
            hyperParameters=tuple(json.loads(text) for text in data["hyperParameters"]),
            logPath=data.get("logPath"),
            startTime=data.get("startTime"),
            endTime=data.get("endTime"),
            sequenceId=data["sequenceId"],
            finalMetricData=tuple(TrialMetricData.from_json(one) for one in data.get("finalMetricData", ())),
            stderrPath=data.get("stderrPath"),
            job=data.get("job"),
            reason=data.get("reason"),
            attempt=data.get("attempt", 1),
            exitCode=data.get("exitCode"),
            lastLines=tuple(data.get("lastLines", ())),
        )
