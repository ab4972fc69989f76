"""What users write, for type checkers: it is never run.

An ``ignore`` stands where a type checker must object; one that is not needed any more is an error by itself.
"""

from collections.abc import Mapping
from typing import Any, assert_type

import nni
import nni.experiment
from nni.experiment import (
    AlgorithmConfig,
    CustomAlgorithmConfig,
    Experiment,
    ExperimentConfig,
    K8sAzureStorageConfig,
    K8sNfsConfig,
    KubeflowConfig,
    KubeflowRoleConfig,
    KubeflowRowConfig,
    LocalConfig,
    RunMode,
    TrialJob,
    TrialMetricData,
    TrialResult,
)


def whole_configuration() -> ExperimentConfig:
    role = KubeflowRoleConfig(
        replicas=1,
        command="python3 model.py",
        code_directory=".",
        docker_image="my/image:1",
        gpu_number=1,
        cpu_number=0.5,
        memory_size="8Gi",
    )
    return ExperimentConfig(
        search_space={"lr": {"_type": "loguniform", "_value": [0.0001, 0.1]}},
        tuner=AlgorithmConfig(name="TPE", class_args={"optimize_mode": "maximize"}),
        assessor={"name": "Medianstop"},
        trial_concurrency=4,
        max_experiment_duration="2h",
        training_service=KubeflowConfig(
            operator="pytorch-operator",
            api_version="v1",
            storage=K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni"),
            worker=role,
            master=role,
        ),
    )


def field_by_field() -> None:
    config = ExperimentConfig("local")
    config.trial_command = "python3 model.py"
    config.trial_code_directory = "code"
    config.max_trial_duration = 90
    config.max_experiment_duration = "1.5h"
    config.tuner.name = "TPE"
    config.tuner.class_args["seed"] = 1
    config.tuner = CustomAlgorithmConfig(class_name="mine.Tuner")
    config.training_service = LocalConfig(use_active_gpu=False)
    config.training_service.gpuIndices = [0]
    config.training_service = KubeflowConfig()
    config.training_service.storage = K8sAzureStorageConfig(azure_account="a")
    config.training_service.worker = KubeflowRowConfig()
    config.training_service.worker.gpuNumber = 1
    config.validate()
    assert_type(config.json(), dict[str, Any])
    assert_type(config.canonical_copy(), ExperimentConfig)
    assert_type(ExperimentConfig.load("experiment.yml"), ExperimentConfig)


def mistakes() -> None:
    KubeflowRoleConfig(replica=1)  # type: ignore[call-arg]
    KubeflowRoleConfig(replicas="two")  # type: ignore[arg-type]
    K8sNfsConfig(sever="10.20.30.40")  # type: ignore[call-arg]
    nni.experiment.ExperimentConfg("local")  # type: ignore[attr-defined]
    nni.report_finl_result(0.9)  # type: ignore[attr-defined]
    config = ExperimentConfig("local")
    config.trial_comand = "python3 model.py"  # type: ignore[attr-defined]
    config.trial_concurrency = "2"  # type: ignore[assignment]
    Experiment(5)  # type: ignore[arg-type]


def life_of_an_experiment() -> None:
    experiment = Experiment("kubeflow", id="mine")
    Experiment(whole_configuration())
    assert_type(nni.Experiment("kubeflow"), Experiment)
    assert_type(experiment.config, ExperimentConfig)
    assert_type(experiment.id, str)
    experiment.start(8080, debug=True, run_mode=RunMode.Detach)
    assert_type(experiment.run(8080), bool | None)
    assert_type(experiment.get_status(), str)
    assert_type(experiment.get_trial_job("abcde"), TrialJob)
    assert_type(experiment.list_trial_jobs(), list[TrialJob])
    assert_type(experiment.get_job_metrics(), dict[str, list[TrialMetricData]])
    assert_type(experiment.export_data(), list[TrialResult])
    assert_type(Experiment.connect(8080), Experiment)
    best = max(experiment.export_data(), key=lambda result: float(result.value))
    assert_type(best.parameter, Mapping[str, Any])
    experiment.update_trial_concurrency(3)
    experiment.update_max_experiment_duration("2h")
    experiment.kill_trial_job("abcde")
    experiment.stop()


def trial() -> None:
    parameters = nni.get_next_parameter()
    nni.report_intermediate_result(parameters["lr"])
    nni.report_intermediate_result({"default": 0.5, "loss": 0.1})
    nni.report_final_result(0.9)
